"""The eligibility traces of a layer as arrays, to be looked at; no rule needs them whole."""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels.events import Inputs, delayed
from repro.eprop.layers.recurrent import RecurrentLayer, check_inputs
from repro.eprop.neurons.neuron import NeuronState
from repro.eprop.rules.synapses import forward


class EligibilityTraces(NamedTuple):
    """Of the synapses from one source onto a layer: `vectors` [batch, time, post, pre, variable], the epsilon of Eq. 2,
    whose variables are those of `layer.neuron.names`; `traces` [batch, time, post, pre], the e of Eq. 3."""

    vectors: Tensor
    traces: Tensor


@torch.no_grad()
def eligibility_traces(
    layer: RecurrentLayer, x: Inputs, state: NeuronState | None = None
) -> tuple[EligibilityTraces, EligibilityTraces | None]:
    """Eligibility vectors and traces (Eq. 2, 3; of LIF neurons Eq. 21, 22, of ALIF neurons Eq. 25 to 28) of all
    synapses from the inputs x [batch, time, input] and, where the layer is recurrent, from its neurons (else None).

    They depend on the neurons and on what they receive, on no loss and no rule; e-prop 1 filters the traces with the
    readout's kappa. `state` is that before the first step, rest if None. An array has batch * time * post * pre
    numbers, a vector as many for each variable: for a few trials of a small network. Raises UsageError for another
    layer than a RecurrentLayer, and for inputs that do not fit it.
    """
    if not isinstance(layer, RecurrentLayer):
        raise UsageError(f"eligibility_traces takes a RecurrentLayer, not {type(layer).__name__}")
    check_inputs(layer, x, state, None)
    trajectory, _ = layer.simulate(x, state)
    local = layer.neuron.local(trajectory)

    def of(presynaptic: Tensor) -> EligibilityTraces:
        shape = len(presynaptic), layer.n, presynaptic.shape[2], len(layer.neuron.names)
        steps = list(forward(local, presynaptic, presynaptic.new_zeros(shape)))
        return EligibilityTraces(*(torch.stack(series, dim=1) for series in zip(*steps, strict=True)))

    inputs = (x if isinstance(x, Tensor) else x.dense(layer.w_in.dtype)).to(layer.w_in.dtype)
    sent = delayed(trajectory.z, trajectory.before.z)
    return of(inputs), None if layer.w_rec is None else of(sent)
