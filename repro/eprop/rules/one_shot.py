"""e-prop 2's inner loop as pure functions: a trial, and one update of weights by learning signals (Eq. 7, 58, 59).

All of it is on autograd's tape: an outer loop may differentiate through two trials and the update between them.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels.dispatch import exponential_filter, filtered_product
from repro.eprop.neurons.differentiable import (
    DifferentiableInput,
    DifferentiableTrajectory,
    LayerWeights,
    recurrent_sum,
    synaptic_sum,
)
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire

TRACES = ("full", "truncated")


class ErrorModuleInput(NamedTuple):
    """All that an error module receives of a trial, xi = (x, z, y*): the layer's inputs and outputs, and the target.

    The readout and what it moves are deliberately excluded, so that no error can be computed from these.
    """

    inputs: DifferentiableInput  # x [batch, time, input]
    trajectory: DifferentiableTrajectory  # of the layer: z [batch, time, neuron]; its h is not used
    target: Tensor  # y* [batch, time, feature]


class ErrorModuleOutput(NamedTuple):
    """What an error module did in a trial: learning signals L-hat [batch, time, neuron of the layer], and its own
    outputs zeta [batch, time, neuron of the module] (of no neurons where the module has none)."""

    signal: Tensor
    zeta: Tensor


class Trial(NamedTuple):
    """The trajectory of a layer, and what its readout made of it, y [batch, time, readout]."""

    trajectory: DifferentiableTrajectory
    y: Tensor


class OneShot(NamedTuple):
    """A training trial, the error module's output in it, the weights after one update, the test trial with them."""

    training: Trial
    module_output: ErrorModuleOutput
    weights: LayerWeights
    test: Trial


def run_trial(
    layer: Callable[[DifferentiableInput, LayerWeights | None], DifferentiableTrajectory],
    readout: Callable[[Tensor], Tensor],
    inputs: DifferentiableInput,
    weights: LayerWeights | None = None,
) -> Trial:
    """A trial of a layer from rest and of its readout, a function from z [batch, time, neuron] to y.

    `weights` are those of all trials or of each, the layer's own if None.
    """
    trajectory = layer(inputs, weights)
    return Trial(trajectory, readout(trajectory.z))


def eprop_update(
    weights: LayerWeights,
    inputs: DifferentiableInput,
    trajectory: DifferentiableTrajectory,
    signal: Tensor,
    neuron: IntegrateAndFire,
    learning_rate: float | Tensor,
    trace: str = "full",
) -> LayerWeights:
    """theta - eta sum_t L-hat_j^t e_ji^t (Eq. 7; for LIF neurons Eq. 59): weights of each trial [batch, post, pre].

    `trajectory` is that of the layer with `weights` and `inputs`, whose synapses have no past before it; `signal` is
    L-hat [batch, time, neuron]. A trajectory and inputs of one trial are those of all. `trace` is "full" (Eq. 23; Eq.
    28 for neurons that adapt), or "truncated": e_ji^t = h_j^t z_i^(t-1), without the past of the presynaptic trace.
    Autapses do not learn. On the tape for weights, signal, trajectory and `learning_rate`. Raises UsageError for
    another trace, or a signal of another shape.
    """
    batch, *rest = trajectory.shape
    if signal.ndim != 3 or list(signal.shape[1:]) != rest or (batch not in (1, len(signal))):
        raise UsageError(
            f"a learning signal of the shape {tuple(signal.shape)}: it is [batch, time, neuron], {trajectory.shape}"
        )
    if trace not in TRACES:
        raise UsageError(f"trace={trace!r}: an update in one shot is by the trace 'full' or 'truncated'")
    with torch.autocast(signal.device.type, enabled=False):
        post = _postsynaptic(trajectory.h, signal.to(trajectory.h.dtype), neuron, trace)
        # The sums lie in memory [pre, post], as kernels want weights; as the first term they hand that on to these.
        w_in = -learning_rate * synaptic_sum(post, inputs) + weights.w_in
        if weights.w_rec is None:
            return LayerWeights(w_in, None)
        return LayerWeights(w_in, -learning_rate * recurrent_sum(post, trajectory) + weights.w_rec)


def _postsynaptic(h: Tensor, signal: Tensor, neuron: IntegrateAndFire, trace: str) -> Tensor:
    """What multiplies the raw presynaptic activity in sum_t L e; [batch, time, neuron].

    The filter of Eq. 22 is moved to the postsynaptic side, so that what is summed over time is spikes.
    """
    if trace == "truncated":
        return signal * h
    beta = neuron.adaptation(h)
    if not beta.numel():
        return filtered_product(h, signal, neuron.alpha)
    return exponential_filter(_through_adaptation(h, signal, beta, neuron.rho), neuron.alpha, reverse=True)


def _through_adaptation(h: Tensor, signal: Tensor, beta: Tensor, rho: float) -> Tensor:
    """m^t = h^t (L^t + b^(t+1)) with b^t = rho b^(t+1) - beta m^t: the adaptation of Eq. 27, from the end to the
    beginning, as in `repro.eprop.kernels.reference.local_reverse`; on the tape, step by step."""
    series, later = [], torch.zeros_like(h[:, 0])
    for slope, received in zip(reversed(h.unbind(dim=1)), reversed(signal.unbind(dim=1)), strict=True):
        series.append(slope * (received + later))
        later = rho * later - beta * series[-1]
    return torch.stack(series[::-1], dim=1)
