"""The leaky integrate-and-fire neuron (Eq. 20-24) with its refractory period."""

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.local_jacobians import LocalJacobians
from repro.eprop.neurons.neuron import Trajectory, Variables
from repro.eprop.neurons.surrogates import Surrogate


@dataclasses.dataclass(frozen=True)
class LIF(IntegrateAndFire):
    """Parameters of a population of LIF neurons, by default those of pattern generation (task 1.1).

    Times in ms; the threshold `v_th` sets the unit of voltage; `dampening` is gamma, the height of the
    pseudo-derivative times v_th. `surrogate` replaces the pseudo-derivative: a function, or a torch.autograd.Function,
    of x = (v - v_th) / v_th that returns 1 where x > 0 and else 0; `dampening` is then ignored.
    """

    tau_m_ms: float = 20.0
    v_th: float = 0.61
    refractory_ms: float = 5
    dampening: float = 0.3
    dt_ms: float = 1.0
    surrogate: Surrogate | None = None
    names: ClassVar[tuple[str, ...]] = ("v",)

    @property
    def rho(self) -> float:
        """No adaptation."""
        return 0.0

    def update(self, variables: Variables, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Variables:
        """Eq. 20."""
        return (self.alpha * variables[0] + current - self.v_th * z_prev,)

    def output(self, variables: Variables) -> Tensor:
        """Eq. 21."""
        return self.spike(variables[0], variables[0].new_tensor(self.v_th))

    def adaptation(self, like: Tensor) -> Tensor:
        """No adaptation."""
        return like.new_empty(0)

    def local(self, trajectory: Trajectory) -> LocalJacobians:
        """D = alpha (below Eq. 21), since the reset acts through z; dv/dI = 1; the reset's dv/dz = -v_th; dz/dv = h."""
        h = trajectory.h[..., None]
        ones = torch.ones_like(h)
        return LocalJacobians(self.alpha * ones[..., None], ones, -self.v_th * ones, h)
