"""A whole sequence as one node of autograd's tape, for what is learned through a network's whole history (e-prop 2).

Outputs z and pseudo-derivatives h are both differentiable: an update of weights by e-prop (Eq. 7) is made of both.
Backwards it is the one recursion of BPTT (Eq. 14), and one product for all trials or for each. What reads spikes reads
them as events, and a gradient that goes to them is made only where h is not zero: the recursion looks nowhere else.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels import dispatch, events
from repro.eprop.kernels.events import Spikes, SpikeTrains
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.neuron import NeuronState


class DifferentiableTrajectory(NamedTuple):
    """Outputs z and pseudo-derivatives h [batch, time, neuron] of a network, on the tape; `spikes` are the outputs off
    the tape, in the form that kernels like best."""

    z: Tensor
    h: Tensor
    spikes: Spikes


def simulate(
    neuron: IntegrateAndFire, current: Tensor, w_rec: Tensor, state: NeuronState | None = None
) -> DifferentiableTrajectory:
    """What a network does, on the tape for `current` and `w_rec`.

    `current` [batch, time, neuron] is what the inputs send; `w_rec` [post, pre], or [batch, post, pre] where each trial
    has weights of its own; autapses count if there are any. `state` is that before the first step, rest if None; no
    gradient goes to it.
    """
    before = state or neuron.initial_state(current.shape[0], current.shape[2], current)
    z, h, channel, start = _Sequence.apply(current, w_rec, neuron, before)
    return DifferentiableTrajectory(z, h, SpikeTrains(channel, start, *z.shape) if start.numel() else z.detach())


def linear(activity: DifferentiableTrajectory, weights: Tensor) -> Tensor:
    """The linear map of outputs by `weights` [post, pre]: [batch, time, post], on the tape for both."""
    mapped: Tensor = _Linear.apply(activity.z, weights, activity.spikes, activity.h.detach())
    return mapped


def synaptic_sum(post: Tensor, pre: DifferentiableTrajectory | Spikes) -> Tensor:
    """sum over time of post_j^t x_i^t for inputs x as spikes, of post_j^t z_i^(t-1) for outputs of a network, which
    began at rest: one number a synapse and trial [batch, post, pre], on the tape for `post` [batch, time, post], z."""
    summed: Tensor
    if isinstance(pre, DifferentiableTrajectory):
        rest = torch.zeros_like(pre.z[:, 0])
        summed = _SynapticSum.apply(post, pre.z, events.arriving(pre.spikes, rest), pre.h.detach())
    else:
        summed = _SynapticSum.apply(post, None, pre, None)
    return summed


def linear_each(inputs: Spikes, weights: Tensor) -> Tensor:
    """The linear map of input spikes by weights of each trial [batch, post, pre], on the tape for these."""
    mapped: Tensor = _LinearEach.apply(weights, inputs)
    return mapped


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, w_rec: Tensor, neuron: IntegrateAndFire, before: NeuronState
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        trajectory, _ = neuron.simulate(current, w_rec, before, keep_variables=False)
        ctx.neuron, ctx.before_z, ctx.events = neuron, before.z, trajectory.events
        ctx.save_for_backward(trajectory.z, trajectory.h, w_rec)
        none = torch.empty(0, dtype=torch.int64, device=current.device)
        channel, start = trajectory.events[:2] if trajectory.events else (none, none.clone())
        ctx.mark_non_differentiable(channel, start)
        return trajectory.z, trajectory.h, channel, start

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        by_z, by_h = grads[:2]
        z, h, w_rec = ctx.saved_tensors
        neuron: IntegrateAndFire = ctx.neuron
        # dh/dv is the slope of the triangle: down where the neuron spiked, up where it did not, none beside it.
        direct = torch.addcmul(by_h, z, by_h, value=-2).mul_(neuron.dampening / neuron.v_th**2)
        beta = neuron.adaptation(h)
        delta = dispatch.of(h).bptt_reverse(h, by_z, direct, w_rec, beta, neuron.alpha, neuron.rho, neuron.v_th)
        if not ctx.needs_input_grad[1]:
            return delta, None, None, None
        sent = ctx.events or z
        if w_rec.ndim == 2:
            return delta, events.delayed_outer(delta, sent, ctx.before_z), None, None
        return delta, events.outer_each(delta, events.arriving(sent, ctx.before_z)), None, None


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, weights: Tensor, sent: Spikes, h: Tensor) -> Tensor:
        ctx.sent = sent
        ctx.save_for_backward(weights, h)
        return events.linear(sent, weights)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        weights, h = ctx.saved_tensors
        return events.times(grads[0], weights, where=h), events.outer(grads[0], ctx.sent), None, None


class _SynapticSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, post: Tensor, z: Tensor | None, pre: Spikes, h: Tensor | None) -> Tensor:
        ctx.pre = pre
        ctx.save_for_backward(post, h)
        return events.outer_each(post, pre)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        post, h = ctx.saved_tensors
        by_z = None
        if ctx.needs_input_grad[1]:  # z^(t-1) met post^t
            later = torch.cat([post[:, 1:], torch.zeros_like(post[:, :1])], dim=1)
            by_z = events.times(later, grads[0], where=h)
        return events.linear_each(ctx.pre, grads[0]), by_z, None, None


class _LinearEach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, inputs: Spikes) -> Tensor:
        ctx.inputs = inputs
        return events.linear_each(inputs, weights)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return events.outer_each(grads[0], ctx.inputs), None
