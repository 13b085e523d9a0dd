"""The leaky integrate-and-fire neuron (Eq. 20-24) with its refractory period."""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from repro.neurons.spike import pseudo_derivative, spike


class LIFState(NamedTuple):
    """What one time step hands to the next, each [batch, neuron].

    `v` is the state that D = dv'/dv differentiates; `z`, the own last output, carries the reset; `refractory` counts
    the steps for which the neuron stays silent and is not differentiated.
    """

    v: Tensor
    z: Tensor
    refractory: Tensor


@dataclasses.dataclass(frozen=True)
class LIF:
    """Parameters of a population of LIF neurons. Times in ms; the threshold sets the unit of voltage."""

    tau_m_ms: float
    v_th: float
    refractory_ms: int
    dampening: float
    dt_ms: float = 1.0

    @property
    def alpha(self) -> float:
        """Decay of the membrane in one time step, exp(-dt / tau_m); also D of Eq. 2, since the reset acts through z."""
        return math.exp(-self.dt_ms / self.tau_m_ms)

    @property
    def refractory_steps(self) -> int:
        """Shortest interval between two spikes, in time steps (the authors' reading of "a refractory period")."""
        return round(self.refractory_ms / self.dt_ms)

    def initial_state(self, batch: int, n: int, like: Tensor) -> LIFState:
        """The resting state [batch, neuron], of the dtype and device of `like`."""
        zeros = torch.zeros(batch, n, dtype=like.dtype, device=like.device)
        return LIFState(zeros, zeros, zeros)

    def step(self, state: LIFState, current: Tensor, detach_reset: bool = False) -> tuple[LIFState, Tensor]:
        """One time step (Eq. 20, 21).

        `current` [batch, neuron] is the weighted sum of spikes of the inputs (now) and of the network (one step ago).
        Returns the new state and the pseudo-derivative h = dz/dv [batch, neuron], zero while refractory.
        """
        reset = state.z.detach() if detach_reset else state.z
        v = self.alpha * state.v + current - self.v_th * reset
        refractory = torch.clamp(state.refractory + self.refractory_steps * state.z.detach() - 1, min=0)
        free = (refractory == 0).to(v.dtype)
        z = free * spike(v, v.new_tensor(self.v_th), self.v_th, self.dampening)
        h = free * pseudo_derivative(v.detach(), self.v_th, self.v_th, self.dampening)
        return LIFState(v, z, refractory), h
