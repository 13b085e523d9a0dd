"""What a reader of the paper would write in PyTorch: a loop over time on autograd's tape."""

from typing import Any

import torch
from torch import Tensor

from repro.bidirectional import Bidirectional
from repro.eprop.neurons.surrogates import spike
from repro.network import RecurrentNetwork


def sent(network: RecurrentNetwork | Bidirectional, inputs: Tensor, e_prop: bool = False) -> list[Tensor]:
    """The spikes of each direction in its own order of time, of trials [batch, time, input] of one length."""
    return [spikes(way.network, way.sees(inputs, None), e_prop) for way in network.directions]


def spikes(network: RecurrentNetwork, inputs: Tensor, e_prop: bool = False) -> Tensor:
    """Spikes [batch, time, neuron] for `inputs` [batch, time, input] of LIF or ALIF neurons (Eq. 20, 21, 25, 26).

    With `e_prop` a spike reaches other neurons and the own reset without a gradient, and the own threshold with one,
    which makes backpropagation through the rest symmetric e-prop 1. Written term by term, as the equations are, with
    time first in memory, so that a step's rows lie side by side.
    """
    neuron: Any = network.neuron
    weights = network.get_parameter("w_rec")
    pre_post = (weights - torch.diag(torch.diag(weights))).T
    # A slice a step would double the time: in the backward pass each one fills an array of the whole trial with zeros.
    drive = torch.nn.functional.linear(inputs.transpose(0, 1), network.w_in).unbind()
    (v, *_), z, refractory = network.initial_state(inputs.shape[0])
    beta, a, threshold = neuron.adaptation(v), torch.zeros_like(v), v.new_tensor(neuron.v_th)
    series = []
    for current in drive:
        sent = z.detach() if e_prop else z
        v = neuron.alpha * v + current + sent @ pre_post - neuron.v_th * sent
        if beta.numel():
            a = neuron.rho * a + z
            threshold = neuron.v_th + beta * a
        with torch.no_grad():
            refractory = torch.clamp(refractory + neuron.refractory_steps * z - 1, min=0)
            free = refractory == 0
        z = free * spike(v, threshold, neuron.v_th, neuron.dampening)
        series.append(z)
    return torch.stack(series).transpose(0, 1)
