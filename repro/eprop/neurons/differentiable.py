"""Whole sequences of spiking neurons on autograd's tape, for what is learned through an update of weights (e-prop 2).

An update by e-prop (Eq. 7) is made of outputs z and of pseudo-derivatives h, so both are differentiable. A sequence is
one node of the tape: its backward pass is the recursion of BPTT (Eq. 14) and one product, for all trials or for each.
The weights of a layer are shared, [post, pre], or each trial has its own, [batch, post, pre].

Spikes are passed as event lists. Gradients with respect to outputs are computed only where h is not zero: elsewhere the
recursion of the layer that spiked multiplies them by zero.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels import dispatch, events
from repro.eprop.kernels.events import Held, Inputs, Spikes, SpikeTrains
from repro.eprop.kernels.first_order import first_order
from repro.eprop.kernels.padding import remember
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.neuron import Neuron, NeuronState, state_before


class LayerWeights(NamedTuple):
    """Weights of a layer: `w_in` [neuron, input], `w_rec` [neuron, neuron] (None without recurrence); or [batch, ...],
    where each trial has its own."""

    w_in: Tensor
    w_rec: Tensor | None


class DifferentiableTrajectory(NamedTuple):
    """What neurons did: outputs `z` and pseudo-derivatives `h` [batch, time, neuron], both on the tape.

    Off the tape: `spikes`, the outputs in the form that costs least; the states `before` the first step and `after` the
    last one.
    """

    z: Tensor
    h: Tensor
    spikes: Spikes
    before: NeuronState
    after: NeuronState

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, time, neuron)."""
        return tuple(self.z.shape)

    @property
    def device(self) -> torch.device:
        """Where the arrays lie."""
        return self.z.device


DifferentiableInput = Inputs | DifferentiableTrajectory


def check_differentiable(neuron: Neuron) -> None:
    """Raises UsageError for a neuron whose pseudo-derivative has no derivative here."""
    if not isinstance(neuron, IntegrateAndFire):
        name = neuron.__name__ if isinstance(neuron, type) else type(neuron).__name__
        raise UsageError(f"{name} has no differentiable trajectory: take LIF() or ALIF()")
    if neuron.surrogate is not None:
        raise UsageError(
            f"{type(neuron).__name__}(surrogate=...) has no differentiable trajectory: only the triangle's slope is "
            "known, so leave surrogate out"
        )


def simulate(
    neuron: IntegrateAndFire, current: Tensor, w_rec: Tensor | None, state: NeuronState | None = None
) -> DifferentiableTrajectory:
    """A layer over a whole sequence (Eq. 20, 21), on the tape for `current` and `w_rec`; autapses do not count.

    `current` [batch, time, neuron] is what the inputs send; `state` that before the first step, rest if None. No
    gradient goes to the state. Raises UsageError for neurons that `check_differentiable` refuses, and NotFiniteError
    where the neurons' variables end as NaN or infinite.
    """
    check_differentiable(neuron)
    before = state_before(neuron, state, current.shape[0], current.shape[2], current)
    weights = current.new_empty(0, 0) if w_rec is None else w_rec
    z, h, channel, start, refractory, *variables = _Sequence.apply(current, weights, neuron, before)
    spikes = SpikeTrains(channel, start, *z.shape) if start.numel() else z.detach()
    if isinstance(spikes, SpikeTrains):
        remember(z, spikes, None)
    after = NeuronState(tuple(variables), z[:, -1].detach(), refractory)
    after.check_finite()
    return DifferentiableTrajectory(z, h, spikes, before, after)


def linear(x: DifferentiableInput, weights: Tensor) -> Tensor:
    """The linear map of x [batch, time, pre] by shared weights or those of each trial: [batch, time, post]. Where
    weights are those of each trial, an x of one trial is that of all.

    On the tape for the weights, and for x where it is a trajectory or an array.
    """
    if isinstance(x, Held):
        of_frame = linear(x.frames, weights).transpose(0, 1)
        return of_frame.repeat_interleave(x.steps_each, dim=0).transpose(0, 1)
    z, spikes, h = _parts(x, weights.dtype)
    return _Linear.apply(z, weights, spikes, h)


def synaptic_sum(post: Tensor, x: DifferentiableInput) -> Tensor:
    """sum over time of post_j^t x_i^t: one number for each trial and synapse, [batch, post, pre]. An x of one trial is
    that of all.

    On the tape for `post` [batch, time, post], and for x [batch, time, pre] where it is a trajectory or an array.
    """
    if isinstance(x, Held):
        frames = post.transpose(0, 1).unflatten(0, (-1, x.steps_each)).sum(dim=1)
        return synaptic_sum(frames.transpose(0, 1), x.frames)
    z, spikes, h = _parts(x, post.dtype)
    return _SynapticSum.apply(post, z, spikes, h, False)


def recurrent_sum(post: Tensor, trajectory: DifferentiableTrajectory) -> Tensor:
    """sum over time of post_j^t z_i^(t-1) for the neurons' own outputs, [batch, post, pre], zero for autapses. A
    trajectory of one trial is that of all.

    On the tape for `post` [batch, time, post] and z; z^0 is that of the state before.
    """
    pre = events.arriving(trajectory.spikes, trajectory.before.z)
    return _SynapticSum.apply(post, trajectory.z, pre, trajectory.h.detach(), True)


def _parts(x: Spikes | DifferentiableTrajectory, dtype: torch.dtype) -> tuple[Tensor | None, Spikes, Tensor | None]:
    """Presynaptic activity on the tape (None where it cannot be), off the tape, and where a gradient of it is needed
    (None for everywhere)."""
    if isinstance(x, DifferentiableTrajectory):
        return x.z, x.spikes, x.h.detach()
    if isinstance(x, SpikeTrains):
        return None, x, None
    x = x.to(dtype)
    return x, x.detach(), None


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, w_rec: Tensor, neuron: IntegrateAndFire, before: NeuronState
    ) -> tuple[Tensor, ...]:
        w_rec = _without_autapses(w_rec)
        trajectory, after = neuron.simulate(current, w_rec, before, keep_variables=False)
        ctx.neuron, ctx.before_z, ctx.events = neuron, before.z, trajectory.events
        ctx.save_for_backward(trajectory.z, trajectory.h, w_rec)
        none = torch.empty(0, dtype=torch.int64, device=current.device)
        channel, start = trajectory.events[:2] if trajectory.events else (none, none.clone())
        constant = channel, start, after.refractory, *after.variables
        ctx.mark_non_differentiable(*constant)
        ctx.set_materialize_grads(False)
        return trajectory.z, trajectory.h, *constant

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        z, h, w_rec = ctx.saved_tensors
        neuron: IntegrateAndFire = ctx.neuron
        d_z, d_h = torch.zeros_like(h) if grads[0] is None else grads[0], grads[1]
        # dh/dv is the slope of the triangle: down where the neuron spiked, up where it did not. Where h is
        # zero the recursion leaves it out, which at the ends of the triangle is the habit of torch.relu.
        direct = h.new_empty(0)
        if d_h is not None:
            direct = torch.addcmul(d_h, z, d_h, value=-2).mul_(neuron.dampening / neuron.v_th**2)
        beta = neuron.adaptation(h)
        delta = dispatch.of(h).bptt_reverse(h, d_z, direct, w_rec, beta, neuron.alpha, neuron.rho, neuron.v_th)
        if not ctx.needs_input_grad[1]:
            return delta, None, None, None
        spikes = ctx.events or z
        if w_rec.ndim == 2:
            by_weights = events.delayed_outer(delta, spikes, ctx.before_z)
        else:
            by_weights = events.outer_each(delta, events.arriving(spikes, ctx.before_z))
        return delta, _zero_diagonal(by_weights), None, None


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor | None, weights: Tensor, spikes: Spikes, h: Tensor | None) -> Tensor:
        ctx.spikes = spikes
        ctx.save_for_backward(weights, h)
        if weights.ndim == 3:
            return events.linear_each(spikes, weights)
        return events.times(spikes, weights.T) if isinstance(spikes, Tensor) else events.linear(spikes, weights)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        weights, h = ctx.saved_tensors
        d_z = _by_presynaptic(grads[0], weights, ctx.spikes, h) if ctx.needs_input_grad[0] else None
        d_weights = None
        if ctx.needs_input_grad[1]:
            d_weights = (events.outer if weights.ndim == 2 else events.outer_each)(grads[0], ctx.spikes)
        return d_z, d_weights, None, None


class _SynapticSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, post: Tensor, z: Tensor | None, pre: Spikes, h: Tensor | None, recurrent: bool) -> Tensor:
        ctx.pre, ctx.recurrent = pre, recurrent
        ctx.save_for_backward(post, h)
        summed = events.outer_each(post, pre)
        return _zero_diagonal(summed) if recurrent else summed

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        post, h = ctx.saved_tensors
        d_sum = _without_autapses(grads[0]) if ctx.recurrent else grads[0]
        d_z = None
        if ctx.needs_input_grad[1]:
            late = int(ctx.recurrent)  # z^(t-1) was multiplied by post^t
            d_z = _by_presynaptic(post[:, late:], d_sum, ctx.pre, h if h is None else h[:, : h.shape[1] - late])
            d_z = _with_last_step(d_z) if late else d_z
        return events.linear_each(ctx.pre, d_sum), d_z, None, None, None


def _by_presynaptic(by_post: Tensor, weights: Tensor, pre: Spikes, h: Tensor | None) -> Tensor:
    """The gradient of presynaptic activity, where h is not zero if h is given; of one trial's the sum over trials."""
    product = events.times(by_post, weights, where=h)
    return product if len(product) == pre.shape[0] else product.sum(dim=0, keepdim=True)


def _with_last_step(x: Tensor) -> Tensor:
    """x [batch, time, neuron] and a step of zeros."""
    longer = events.series(x, x.shape[0], x.shape[1] + 1, x.shape[2])
    longer[:, :-1], longer[:, -1] = x, 0
    return longer


def _zero_diagonal(w: Tensor) -> Tensor:
    """The same array [..., post, pre] with a diagonal of zeros, in place."""
    torch.diagonal(w, dim1=-2, dim2=-1).zero_()
    return w


def _without_autapses(w_rec: Tensor) -> Tensor:
    """The same [..., post, pre] with a diagonal of zeros; no copy where it is zero already."""
    return _zero_diagonal(w_rec.clone()) if torch.diagonal(w_rec, dim1=-2, dim2=-1).any() else w_rec
