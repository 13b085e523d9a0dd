"""What every neuron model is: variables of its own, a pure update and an output. The rest follows from these alone."""

import abc
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from repro.kernels.events import Spikes, SpikeTrains, delayed
from repro.neurons.local import Local, derive, reverse, reverse_through_network

Own = tuple[Tensor, ...]


class NeuronState(NamedTuple):
    """What one time step hands to the next, each [batch, neuron].

    `own` are the variables that D of Eq. 2 differentiates, s_j; `z`, the last output, carries the reset; `refractory`
    counts the steps for which the neuron stays silent and is not differentiated.
    """

    own: Own
    z: Tensor
    refractory: Tensor


class Trajectory(NamedTuple):
    """What the neurons did: outputs `z`, dz/dI within the step `h` (for a spiking neuron the pseudo-derivative) and
    the variables `own`, each [batch, time, neuron]; the state `before` the first step; where the simulation has made
    them, the local derivatives and the outputs as events."""

    z: Tensor
    h: Tensor
    own: Own
    before: NeuronState
    local: Local | None = None
    events: SpikeTrains | None = None

    @property
    def sent(self) -> Spikes:
        """The outputs in the form that costs least."""
        return self.z if self.events is None else self.events


class Neuron(abc.ABC):
    """A neuron model. Subclasses are frozen dataclasses that define `names`, `update` and `output` in plain torch.

    Both act on all neurons at once, each by itself. Simulation, BPTT and e-prop then work without a line of calculus:
    `repro.neurons.local` derives what Eq. 2 and 3 ask for. A subclass may override what it can do faster.
    """

    names: ClassVar[tuple[str, ...]]  # of the variables

    @property
    def refractory_steps(self) -> int:
        """Shortest interval between two spikes, in time steps; 0 and 1 mean no refractory period."""
        return 0

    @abc.abstractmethod
    def update(self, own: Own, fired: Tensor, sent: Tensor, current: Tensor) -> Own:
        """The variables after a step: s^t = M(s^(t-1), ...), each [batch, neuron].

        `fired` and `sent` are both the neuron's last output: what it did to itself as a function of its variables, so
        that D differentiates it (threshold adaptation), and what it does through the synapses, which belongs to the
        learning signal (the reset). `current` is the weighted sum of inputs (now) and outputs (one step ago).
        """

    @abc.abstractmethod
    def output(self, own: Own) -> Tensor:
        """z = f(s), [batch, neuron], outside the refractory period."""

    def initial_state(self, batch: int, n: int, like: Tensor) -> NeuronState:
        """The resting state [batch, neuron], of the dtype and device of `like`."""
        zeros = torch.zeros(batch, n, dtype=like.dtype, device=like.device)
        return NeuronState(tuple(zeros for _ in self.names), zeros, zeros)

    def step(self, state: NeuronState, current: Tensor, detach_reset: bool = False) -> NeuronState:
        """One time step; z and dz/ds are zero while refractory (below Eq. 24). `detach_reset` holds `sent` constant."""
        sent = state.z.detach() if detach_reset else state.z
        own = self.update(state.own, state.z, sent, current)
        counter = torch.clamp(state.refractory + self.refractory_steps * state.z.detach() - 1, min=0)
        return NeuronState(own, (counter == 0) * self.output(own), counter)

    @torch.no_grad()
    def simulate(
        self, current: Tensor, w_rec: Tensor, state: NeuronState, keep_own: bool = True
    ) -> tuple[Trajectory, NeuronState]:
        """A network of these neurons over a whole sequence, without a tape.

        `current` [batch, time, neuron] is what the inputs send; `w_rec` [post, pre], or of no elements for a network
        without recurrence; `state` the state before the first step. Without `keep_own` the variables may be left out of
        the trajectory. Returns the trajectory and the state after it.
        """
        before, totals, states = state, [], []
        for arriving in current.unbind(dim=1):
            totals.append(arriving + state.z @ w_rec.T if w_rec.numel() else arriving)
            state = self.step(state, totals[-1])
            states.append(state)
        own = tuple(torch.stack(series, dim=1) for series in zip(*(s.own for s in states), strict=True))
        z = torch.stack([s.z for s in states], dim=1)
        free = torch.stack([s.refractory == 0 for s in states], dim=1)
        local = derive(
            self.update,
            self.output,
            tuple(delayed(series, first) for series, first in zip(own, before.own, strict=True)),
            own,
            delayed(free, before.refractory == 0),
            free,
            delayed(z, before.z),
            torch.stack(totals, dim=1),
        )
        return Trajectory(z, (local.output * local.by_current).sum(dim=-1), own, before, local), state

    def local(self, trajectory: Trajectory) -> Local:
        """The local derivatives along a trajectory."""
        if trajectory.local is None:
            raise ValueError(f"{type(self).__name__} simulates without local derivatives, but does not give them")
        return trajectory.local

    def e_prop_delta(self, trajectory: Trajectory, signal: Tensor) -> Tensor:
        """What multiplies the raw presynaptic activity in sum_t L e, from L = `signal`; [batch, time, neuron]."""
        return reverse(self.local(trajectory), signal)

    def bptt_delta(self, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """dE/dI of every neuron and step (Eq. 14), from `signal`, the derivative of E by z at fixed later outputs."""
        return reverse_through_network(self.local(trajectory), signal, w_rec)
