"""The eligibility traces of a layer as arrays, to be looked at; no rule needs them whole."""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import NotFiniteError, UsageError
from repro.eprop.kernels.events import Inputs, delayed
from repro.eprop.layers.recurrent import RecurrentLayer, check_inputs
from repro.eprop.neurons.local_jacobians import LocalJacobians
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
    """Eligibility vectors and traces (Eq. 2, 3; of LIF neurons Eq. 22, 23, of ALIF neurons Eq. 27, 28) of all
    synapses from the inputs x [batch, time, input] and, where the layer is recurrent, from its neurons (else None).

    They depend on the neurons and on what they receive, on no loss and no rule; e-prop 1 filters the traces with the
    readout's kappa. `state` is that of the neurons before the first step, rest if None; vectors begin at zero in any
    case, as for every rule. A layer has no autapses: the traces of its diagonal are those that autapses would have. An
    array has batch * time * post * pre numbers, a vector as many for each variable: for a few trials of a small
    network. Raises UsageError for another layer than a RecurrentLayer and for inputs that do not fit it, and
    NotFiniteError where a trace is NaN or infinite.
    """
    if not isinstance(layer, RecurrentLayer):
        raise UsageError(f"eligibility_traces takes a RecurrentLayer, not {type(layer).__name__}")
    check_inputs(layer, x, state, None)
    with torch.autocast(x.device.type, enabled=False):
        trajectory, _ = layer.simulate(x, state)
        local = layer.neuron.local(trajectory)
        inputs = (x if isinstance(x, Tensor) else x.dense(layer.w_in.dtype)).to(layer.w_in.dtype)
        sent = delayed(trajectory.z, trajectory.before.z)
        return _of(layer, local, inputs), None if layer.w_rec is None else _of(layer, local, sent)


def _of(layer: RecurrentLayer, local: LocalJacobians, presynaptic: Tensor) -> EligibilityTraces:
    """Of the synapses from one source."""
    shape = len(presynaptic), layer.n, presynaptic.shape[2], len(layer.neuron.names)
    steps = list(forward(local, presynaptic, presynaptic.new_zeros(shape)))
    found = EligibilityTraces(*(torch.stack(series, dim=1) for series in zip(*steps, strict=True)))
    if not found.traces.isfinite().all():
        raise NotFiniteError("an eligibility trace is NaN or infinite: look at the inputs and the weights")
    return found
