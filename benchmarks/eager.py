"""What a reader of the paper would write in PyTorch: a loop over time on autograd's tape."""

from typing import Any

import torch
from torch import Tensor

from repro.eprop import Readout, RecurrentLayer, SpikingNetwork
from repro.eprop.kernels.dispatch import exponential_filter
from repro.eprop.neurons.surrogates import spike


def all_spikes(network: SpikingNetwork, inputs: Tensor, e_prop: bool = False) -> list[Tensor]:
    """The spikes of each direction in its own order of time, of trials [batch, time, input] of one length."""
    orders = inputs, inputs.flip(1)
    return [spikes(layer, x, e_prop) for layer, x in zip(network.directions, orders, strict=False)]


def read_out(readout: Readout, z: list[Tensor]) -> Tensor:
    """y [batch, time, readout] (Eq. 41) of the spikes of each direction; the filter, which is no loop here, is ours."""
    in_order = torch.cat([z[0], *(x.flip(1) for x in z[1:])], dim=2)
    drive = readout.scale * torch.nn.functional.linear(in_order.transpose(0, 1), readout.w_out).transpose(0, 1)
    y = exponential_filter(drive, readout.kappa)
    return y if readout.b_out is None else y + readout.b_out


def spikes(layer: RecurrentLayer, inputs: Tensor, e_prop: bool = False) -> Tensor:
    """Spikes [batch, time, neuron] for `inputs` [batch, time, input] of LIF or ALIF neurons (Eq. 20, 21, 25, 26).

    With `e_prop` a spike reaches other neurons and the own reset without a gradient, and the own threshold with one,
    which makes backpropagation through the rest symmetric e-prop 1. Written term by term, as the equations are, with
    time first in memory, so that a step's rows lie side by side.
    """
    neuron: Any = layer.neuron
    weights = layer.get_parameter("w_rec")
    pre_post = (weights - torch.diag(torch.diag(weights))).T
    # A slice a step would double the time: in the backward pass each one fills an array of the whole trial with zeros.
    drive = torch.nn.functional.linear(inputs.transpose(0, 1), layer.w_in).unbind()
    (v, *_), z, refractory = neuron.initial_state(inputs.shape[0], layer.n, layer.w_in)
    beta, a, threshold = neuron.adaptation(v), torch.zeros_like(v), v.new_tensor(neuron.v_th)
    series = []
    for current in drive:
        z_prev = z.detach() if e_prop else z
        v = neuron.alpha * v + current + z_prev @ pre_post - neuron.v_th * z_prev
        if beta.numel():
            a = neuron.rho * a + z
            threshold = neuron.v_th + beta * a
        with torch.no_grad():
            refractory = torch.clamp(refractory + neuron.refractory_steps * z - 1, min=0)
            free = refractory == 0
        z = free * spike(v, threshold, neuron.v_th, neuron.dampening)
        series.append(z)
    return torch.stack(series).transpose(0, 1)
