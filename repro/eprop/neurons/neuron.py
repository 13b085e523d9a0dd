"""What every neuron model is: variables, a pure update and an output. All rules work from these alone."""

import abc
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels.events import Spikes, SpikeTrains, delayed
from repro.eprop.neurons.local_jacobians import LocalJacobians, derive, reverse, reverse_through_network

Variables = tuple[Tensor, ...]


class NeuronState(NamedTuple):
    """What one time step hands to the next, each [batch, neuron].

    `variables` are those that D of Eq. 2 differentiates, s_j; `z`, the last output, carries the reset; `refractory`
    counts the steps for which the neuron stays silent and is not differentiated.
    """

    variables: Variables
    z: Tensor
    refractory: Tensor


class Trajectory(NamedTuple):
    """What the neurons did: outputs `z`, dz/dI within the step `h` (for a spiking neuron the pseudo-derivative) and
    the `variables`, each [batch, time, neuron]; the state `before` the first step; where the simulation has made
    them, the local derivatives, and the outputs as events."""

    z: Tensor
    h: Tensor
    variables: Variables
    before: NeuronState
    local: LocalJacobians | None = None
    events: SpikeTrains | None = None

    @property
    def spikes(self) -> Spikes:
        """The outputs in the form that costs least."""
        return self.z if self.events is None else self.events


class Neuron(abc.ABC):
    """A neuron model. Subclasses are frozen dataclasses that define `names`, `update` and `output` in plain torch.

    Both act on all neurons at once, and no neuron reads another neuron's variables. Simulation, BPTT and e-prop then
    work without a line of calculus: the local derivatives are found by automatic differentiation. A neuron with fused
    kernels overrides `simulate`, `local`, `e_prop_delta` and `bptt_delta`.
    """

    names: ClassVar[tuple[str, ...]]  # of the variables

    @property
    def refractory_steps(self) -> int:
        """Shortest interval between two spikes, in time steps; 0 and 1 mean no refractory period."""
        return 0

    @abc.abstractmethod
    def update(self, variables: Variables, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Variables:
        """The variables after a step: s^t = M(s^(t-1), ...), each [batch, neuron].

        `z_prev_local` and `z_prev` hold the same value z^(t-1). Use `z_prev_local` for effects that D must
        differentiate (threshold adaptation), and `z_prev` for effects that D must not (the reset, which belongs to the
        learning signal). `current` is the weighted sum of inputs (of this step) and outputs (of the step before).
        """

    @abc.abstractmethod
    def output(self, variables: Variables) -> Tensor:
        """z = f(s), [batch, neuron], outside the refractory period."""

    def initial_state(self, batch: int, n: int, like: Tensor) -> NeuronState:
        """The resting state [batch, neuron], of the dtype and device of `like`."""
        zeros = torch.zeros(batch, n, dtype=like.dtype, device=like.device)
        return NeuronState(tuple(zeros for _ in self.names), zeros, zeros)

    def step(self, state: NeuronState, current: Tensor, detach_reset: bool = False) -> NeuronState:
        """One time step; z and dz/ds are zero while refractory (below Eq. 24). `detach_reset` detaches the reset."""
        z_prev = state.z.detach() if detach_reset else state.z
        variables = self.update(state.variables, state.z, z_prev, current)
        counter = torch.clamp(state.refractory + self.refractory_steps * state.z.detach() - 1, min=0)
        return NeuronState(variables, (counter == 0) * self.output(variables), counter)

    @torch.no_grad()
    def simulate(
        self, current: Tensor, w_rec: Tensor, state: NeuronState, keep_variables: bool = True
    ) -> tuple[Trajectory, NeuronState]:
        """A network of these neurons over a whole sequence, off autograd's tape.

        `current` [batch, time, neuron] is what the inputs send; `w_rec` [post, pre], or of no elements for a network
        without recurrence; `state` the state before the first step. Without `keep_variables` they may be left out of
        the trajectory. Returns the trajectory and the state after it.
        """
        before, totals, states = state, [], []
        for from_inputs in current.unbind(dim=1):
            totals.append(from_inputs + state.z @ w_rec.T if w_rec.numel() else from_inputs)
            state = self.step(state, totals[-1])
            states.append(state)
        variables = tuple(torch.stack(x, dim=1) for x in zip(*(s.variables for s in states), strict=True))
        z = torch.stack([s.z for s in states], dim=1)
        free = torch.stack([s.refractory == 0 for s in states], dim=1)
        local = derive(
            self.update,
            self.output,
            tuple(delayed(series, first) for series, first in zip(variables, before.variables, strict=True)),
            variables,
            delayed(free, before.refractory == 0),
            free,
            delayed(z, before.z),
            torch.stack(totals, dim=1),
        )
        return Trajectory(z, (local.output * local.by_current).sum(dim=-1), variables, before, local), state

    def local(self, trajectory: Trajectory) -> LocalJacobians:
        """The local derivatives along a trajectory."""
        if trajectory.local is None:
            raise UsageError(f"{type(self).__name__} simulates without local derivatives: it has to override `local`")
        return trajectory.local

    def e_prop_delta(self, trajectory: Trajectory, signal: Tensor) -> Tensor:
        """What multiplies the raw presynaptic activity in sum_t L e, from L = `signal`; [batch, time, neuron]."""
        return reverse(self.local(trajectory), signal)

    def bptt_delta(self, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """dE/dI of every neuron and step (Eq. 14), from `signal`, the derivative of E by z at fixed later outputs."""
        return reverse_through_network(self.local(trajectory), signal, w_rec)
