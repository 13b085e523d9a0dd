"""What every neuron model is: variables, a pure update and an output. All rules work from these alone."""

import abc
import math
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import NotFiniteError, UsageError
from repro.eprop.kernels.events import Spikes, SpikeTrains, delayed
from repro.eprop.neurons.local_jacobians import LocalJacobians, derive, reverse, reverse_through_network

Variables = tuple[Tensor, ...]


class NotKept(tuple):
    """Variables that a trajectory has not: to read them raises UsageError."""

    def __getitem__(self, index: Any) -> Any:
        raise UsageError("the neurons' variables were not kept: a rule that reads them has keeps_variables = True")

    def __iter__(self) -> Any:
        return self[0]


NOT_KEPT = NotKept()


class NeuronState(NamedTuple):
    """What one time step hands to the next, each [batch, neuron].

    `variables` are those that D of Eq. 2 differentiates, s_j; `z`, the last output, carries the reset; `refractory`
    counts the steps for which the neuron stays silent and is not differentiated.
    """

    variables: Variables
    z: Tensor
    refractory: Tensor

    def to(self, like: Tensor) -> "NeuronState":
        """The same on the device and in the precision of `like`."""
        return NeuronState(tuple(x.to(like) for x in self.variables), self.z.to(like), self.refractory.to(like))

    def check_finite(self) -> None:
        """Raises NotFiniteError: NaN stays in a voltage, but silences the neuron, and no loss would show it."""
        if not all(math.isfinite(variable.sum()) for variable in self.variables):
            raise NotFiniteError(
                "the neurons' variables are no longer finite: the input or the weights are not, or are too large"
            )


def state_before(neuron: "Neuron", state: NeuronState | None, batch: int, n: int, like: Tensor) -> NeuronState:
    """The state before the first step, rest if None, on the device and in the precision of `like`."""
    return neuron.initial_state(batch, n, like) if state is None else state.to(like)


torch.serialization.add_safe_globals([NeuronState])  # torch.load refuses classes that it does not know


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

    def check_population(self, n: int) -> None:  # noqa: B027  most have nothing to check
        """Raises UsageError where a population of `n` neurons cannot have these parameters."""

    def initial_state(self, batch: int, n: int, like: Tensor) -> NeuronState:
        """The resting state [batch, neuron], of the dtype and device of `like`."""
        zeros = torch.zeros(batch, n, dtype=like.dtype, device=like.device)
        return NeuronState(tuple(zeros for _ in self.names), zeros, zeros)

    def step(self, state: NeuronState, current: Tensor, detach_reset: bool = False) -> NeuronState:
        """One time step; z and dz/ds are zero while refractory (below Eq. 24). `detach_reset` detaches the reset.

        Raises UsageError where `update` or `output` return something else than they should.
        """
        z_prev = state.z.detach() if detach_reset else state.z
        variables = self.update(state.variables, state.z, z_prev, current)
        if not _are_arrays(variables, len(self.names), current):
            raise UsageError(
                f"{type(self).__name__}.update returned {_kind(variables)}: it returns a tuple of {len(self.names)} "
                f"({', '.join(self.names)}), each {list(current.shape)}"
            )
        output = self.output(variables)
        if not _are_arrays((output,), 1, current) or not output.is_floating_point():
            raise UsageError(
                f"{type(self).__name__}.output returned {_kind(output)}: it returns z, {list(current.shape)} of "
                f"{current.dtype}"
            )
        counter = torch.clamp(state.refractory + self.refractory_steps * state.z.detach() - 1, min=0)
        return NeuronState(variables, (counter == 0) * output, counter)

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


def _are_arrays(values: Any, number: int, like: Tensor) -> bool:
    arrays = isinstance(values, tuple | list) and len(values) == number
    return arrays and all(isinstance(x, Tensor) and x.shape == like.shape for x in values)


def _kind(value: Any) -> str:
    """What a user's function has returned, in a sentence."""
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} of {value.dtype}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {', '.join(_kind(x) for x in value) or 'nothing'}"
    return type(value).__name__
