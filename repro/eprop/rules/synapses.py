"""Eligibility traces of all synapses, carried forward in time as a chip would (Eq. 2, 3, 22, 27, 28, 45)."""

import abc
from collections.abc import Iterator

import torch
from torch import Tensor

from repro.eprop.kernels import dispatch
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.local_jacobians import LocalJacobians
from repro.eprop.neurons.neuron import Neuron, Trajectory


class Synapses(abc.ABC):
    """Traces of all synapses onto a layer from one source (inputs, or the layer itself).

    `gradient` [post, pre] is sum_t L^t e-bar^t so far (Eq. 45), `summed` [batch, post, pre] the sum of e.
    """

    def __init__(self, batch: int, post: int, pre: int, like: Tensor) -> None:
        self.filtered = like.new_zeros(batch, post, pre)
        self.gradient = like.new_zeros(post, pre)
        self.summed = like.new_zeros(batch, post, pre)

    @abc.abstractmethod
    def advance(self, trajectory: Trajectory, signal: Tensor, presynaptic: Tensor, kappa: float) -> None:
        """Go through one chunk: `signal` [batch, steps, post], not filtered, and `presynaptic` [batch, steps, pre],
        delayed where it is the layer's."""

    def total(self, rate_signal: Tensor) -> Tensor:
        """The gradient with the rate term, whose learning signal [neuron] is known only after the last step."""
        return self.gradient + rate_signal[:, None] * self.summed.sum(dim=0)


class FusedSynapses(Synapses):
    """Onto LIF and ALIF neurons, by a kernel (Eq. 22, 27, 28)."""

    def __init__(self, batch: int, post: int, pre: int, like: Tensor, neuron: IntegrateAndFire) -> None:
        super().__init__(batch, post, pre, like)
        self.neuron, self.beta = neuron, neuron.adaptation(like.new_empty(post))
        self.trace = like.new_zeros(batch, pre)
        self.adapted = like.new_zeros(self.filtered.shape if self.beta.numel() else (batch, 0, 0))

    def advance(self, trajectory: Trajectory, signal: Tensor, presynaptic: Tensor, kappa: float) -> None:
        """See `Synapses.advance`."""
        written = self.trace, self.adapted, self.filtered, self.gradient, self.summed
        read = trajectory.h, signal, presynaptic, self.beta
        dispatch.of(signal).online_traces(*read, *written, self.neuron.alpha, self.neuron.rho, kappa)


class AnySynapses(Synapses):
    """Onto any neuron, from its local derivatives alone (Eq. 2, 3)."""

    def __init__(self, batch: int, post: int, pre: int, like: Tensor, neuron: Neuron) -> None:
        super().__init__(batch, post, pre, like)
        self.neuron = neuron
        self.vector = like.new_zeros(batch, post, pre, len(neuron.names))

    def advance(self, trajectory: Trajectory, signal: Tensor, presynaptic: Tensor, kappa: float) -> None:
        """See `Synapses.advance`."""
        steps = forward(self.neuron.local(trajectory), presynaptic, self.vector)
        for t, (vector, e) in enumerate(steps):
            self.vector = vector
            self.filtered.mul_(kappa).add_(e)
            self.gradient.add_(torch.einsum("bj,bji->ji", signal[:, t], self.filtered))
            self.summed.add_(e)


def forward(local: LocalJacobians, presynaptic: Tensor, vector: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Step by step the eligibility vectors [batch, post, pre, variable] (Eq. 2) and traces [batch, post, pre] (Eq. 3)
    of all synapses; `vector` are those before the first step, `presynaptic` is [batch, time, pre]."""
    for t in range(presynaptic.shape[1]):
        fresh = local.by_current[:, t, :, None] * presynaptic[:, t, None, :, None]
        vector = torch.einsum("bnij,bnpj->bnpi", local.d[:, t], vector) + fresh
        yield vector, torch.einsum("bnj,bnpj->bnp", local.output[:, t], vector)


def synapses_onto(neuron: Neuron, batch: int, post: int, pre: int, like: Tensor) -> Synapses:
    """The fastest traces that there are for a neuron."""
    if isinstance(neuron, IntegrateAndFire):
        return FusedSynapses(batch, post, pre, like, neuron)
    return AnySynapses(batch, post, pre, like, neuron)
