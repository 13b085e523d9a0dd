"""A recurrent network: weights, and two ways through a sequence, with a tape and without."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.kernels import events
from repro.eprop.kernels.events import Inputs, Spikes
from repro.eprop.kernels.padding import flip
from repro.eprop.neurons.neuron import Neuron, NeuronState, Trajectory, Variables
from repro.readout import Readout


class RecurrentNetwork(nn.Module):
    """Neurons of one model, all to all without autapses, 1 ms delay, and leaky readouts (Eq. 20, 41).

    Weights are [post, pre]: `w_in` [neuron, input], `w_rec` [neuron, neuron] (None without recurrence), `w_out`
    [readout, neuron], drawn from N(0, 1) over the root of the number of presynaptic cells (Bellec et al. 2018b).
    Inputs act in the step in which they arrive (Eq. 11), outputs of the network one step later.
    """

    def __init__(
        self,
        neuron: Neuron,
        readout: Readout,
        n_in: int,
        n_rec: int,
        n_out: int,
        generator: torch.Generator,
        recurrent: bool = True,
    ) -> None:
        super().__init__()
        self.neuron, self.readout = neuron, readout
        self.w_in = nn.Parameter(torch.randn(n_rec, n_in, generator=generator) / n_in**0.5)
        w_rec = (torch.randn(n_rec, n_rec, generator=generator) / n_rec**0.5).fill_diagonal_(0)
        self.w_rec = nn.Parameter(w_rec) if recurrent else None
        self.w_out = nn.Parameter(torch.randn(n_out, n_rec, generator=generator) / n_rec**0.5)

    @property
    def n_rec(self) -> int:
        """Number of recurrent neurons."""
        return self.w_in.shape[0]

    @property
    def n_out(self) -> int:
        """Number of readouts."""
        return self.w_out.shape[0]

    @property
    def directions(self) -> "tuple[Direction, ...]":
        """Itself, reading a trial from its beginning."""
        return (Direction("", self),)

    def join(self, sent: Sequence[Spikes], lengths: Tensor | None) -> Tensor:
        """The readouts of what its one direction sent; see `repro.bidirectional`."""
        return self.read_out(sent[0])

    def initial_state(self, batch: int) -> NeuronState:
        """The state before the first step of a trial."""
        return self.neuron.initial_state(batch, self.n_rec, full_precision(self.w_in))

    def unroll(
        self, inputs: Inputs, detach_recurrence: bool = False, detach_reset: bool = False
    ) -> tuple[Tensor, Variables]:
        """Step by step, on autograd's tape: the reference. Returns outputs and variables, [batch, time, neuron].

        `detach_recurrence` cuts what an output does to other neurons, `detach_reset` what it does to its own reset.
        """
        dense = inputs if isinstance(inputs, Tensor) else inputs.dense(self.w_in.dtype)
        state, states = self.neuron.initial_state(dense.shape[0], self.n_rec, self.w_in), []
        w_rec = None if self.w_rec is None else self.w_rec - torch.diag(torch.diag(self.w_rec))
        # Not a slice a step: in the backward pass each would fill an array as long as the trial.
        for arriving in nn.functional.linear(dense, self.w_in).unbind(dim=1):
            current = arriving
            if w_rec is not None:
                current = current + (state.z.detach() if detach_recurrence else state.z) @ w_rec.T
            state = self.neuron.step(state, current, detach_reset)
            states.append(state)
        own = tuple(torch.stack(series, dim=1) for series in zip(*(s.variables for s in states), strict=True))
        return torch.stack([s.z for s in states], dim=1), own

    @torch.no_grad()
    def simulate(
        self, inputs: Inputs, state: NeuronState | None = None, keep_variables: bool = True
    ) -> tuple[Trajectory, NeuronState]:
        """The whole sequence without a tape. Returns the trajectory (with the variables if `keep_variables`) and the
        state after it."""
        before = state or self.initial_state(inputs.shape[0])
        return self.neuron.simulate(self.drive(inputs), self.recurrent_weights(), before, keep_variables)

    def drive(self, inputs: Inputs) -> Tensor:
        """What the inputs send [batch, time, neuron], off the tape; in memory time comes first, as the kernels want."""
        with torch.autocast(inputs.device.type, enabled=False):
            return events.linear(inputs, full_precision(self.w_in))

    def recurrent_weights(self) -> Tensor:
        """W_rec for the kernels, detached: no elements when there is no recurrence."""
        if self.w_rec is None:
            return self.w_in.new_empty(0, 0, dtype=full_precision(self.w_in).dtype)
        return full_precision(self.w_rec)

    def read_out(self, z: Spikes, before: Tensor | None = None) -> Tensor:
        """The readouts y [batch, time, readout] of outputs z [batch, time, neuron]; on the tape for `w_out`."""
        return self.readout(z, self.w_out, before)


class Direction(NamedTuple):
    """A network, the prefix of its parameters' names, and whether it reads a trial from its end."""

    prefix: str
    network: RecurrentNetwork
    backwards: bool = False

    def sees(self, x: Any, lengths: Tensor | None) -> Any:
        """A series [batch, time, ...] of the trial in the order in which this network reads it, and back.

        `lengths` [batch] count steps of the series; None if all trials are as long as it."""
        if not self.backwards:
            return x
        return flip(x, torch.full((x.shape[0],), x.shape[1], device=x.device) if lengths is None else lengths)


def full_precision(x: Tensor) -> Tensor:
    """The kernels compute in float32 or float64 only; anything shorter is widened."""
    return x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()
