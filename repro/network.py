"""A recurrent spiking network: weights, and two ways through a sequence, with a tape and without."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from repro.kernels import ops
from repro.neurons.lif import LIF, LIFState
from repro.neurons.readout import Readout


class Trajectory(NamedTuple):
    """What the neurons did: spikes, voltages, pseudo-derivatives, each [batch, time, neuron]."""

    z: Tensor
    v: Tensor
    h: Tensor


class RecurrentNetwork(nn.Module):
    """LIF neurons, all to all without autapses, 1 ms delay, and leaky readouts (Eq. 20, 41).

    Weights are [post, pre]: `w_in` [neuron, input], `w_rec` [neuron, neuron] (None without recurrence), `w_out`
    [readout, neuron], drawn from N(0, 1) over the root of the number of presynaptic cells (Bellec et al. 2018b).
    Inputs act in the step in which they arrive (Eq. 11), spikes of the network one step later.
    """

    def __init__(
        self,
        neuron: LIF,
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

    def initial_state(self, batch: int) -> LIFState:
        """The state before the first step of a trial."""
        return self.neuron.initial_state(batch, self.n_rec, self.w_in)

    def unroll(self, inputs: Tensor, detach_recurrence: bool = False, detach_reset: bool = False) -> Trajectory:
        """Step by step, on autograd's tape: the reference. `inputs` [batch, time, input].

        `detach_recurrence` cuts what a spike does to other neurons, `detach_reset` what it does to its own voltage.
        """
        state, steps = self.initial_state(inputs.shape[0]), []
        w_rec = None if self.w_rec is None else self.w_rec - torch.diag(torch.diag(self.w_rec))
        # Not a slice a step: in the backward pass each would fill an array as long as the trial.
        for arriving in nn.functional.linear(inputs, self.w_in).unbind(dim=1):
            current = arriving
            if w_rec is not None:
                current = current + (state.z.detach() if detach_recurrence else state.z) @ w_rec.T
            state, h = self.neuron.step(state, current, detach_reset)
            steps.append((state.z, state.v, h))
        return Trajectory(*(torch.stack(series, dim=1) for series in zip(*steps, strict=True)))

    @torch.no_grad()
    def simulate(self, inputs: Tensor, state: LIFState | None = None) -> tuple[Trajectory, LIFState]:
        """The whole sequence in one kernel, without a tape. Returns the trajectory and the state after it."""
        weights = full_precision(self.w_in)
        with torch.autocast(inputs.device.type, enabled=False):
            current = nn.functional.linear(inputs.to(weights.dtype), weights)
        before = state or LIFState(*(full_precision(s) for s in self.initial_state(inputs.shape[0])))
        neuron = self.neuron
        z, v, h, refractory = ops.lif_forward(
            current,
            self.recurrent_weights(),
            before.v,
            before.z,
            before.refractory,
            neuron.alpha,
            neuron.v_th,
            neuron.refractory_steps,
            neuron.dampening,
        )
        return Trajectory(z, v, h), LIFState(v[:, -1], z[:, -1], refractory)

    def recurrent_weights(self) -> Tensor:
        """W_rec for the kernels, detached: no elements when there is no recurrence."""
        if self.w_rec is None:
            return self.w_in.new_empty(0, 0, dtype=full_precision(self.w_in).dtype)
        return full_precision(self.w_rec.detach())

    def read_out(self, z: Tensor, before: Tensor | None = None) -> Tensor:
        """The readouts y [batch, time, readout] of spikes z [batch, time, neuron]; on the tape for `w_out`."""
        return self.readout(z, self.w_out, before)


def full_precision(x: Tensor) -> Tensor:
    """The kernels compute in float32 or float64 only; anything shorter is widened."""
    return x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()
