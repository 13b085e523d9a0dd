"""LIF neurons with adaptive thresholds (Eq. 25-29), and populations in which only some adapt."""

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from repro.eprop.errors import UsageError, check_number, check_whole
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.local_jacobians import LocalJacobians
from repro.eprop.neurons.neuron import Trajectory, Variables
from repro.eprop.neurons.surrogates import Surrogate


@dataclasses.dataclass(frozen=True)
class ALIF(IntegrateAndFire):
    """Parameters of a population of LIF neurons with adaptive thresholds, by default those of store-recall (task 1.2).

    The last `n_adaptive` neurons adapt, or all if it is None; the others are LIF neurons, beta = 0: a population with
    both is an LSNN. Times in ms. `beta` is in the units of Eq. 25: a spike raises the threshold by beta, which then
    decays with `tau_a_ms`. The other parameters are those of `LIF`.
    """

    tau_m_ms: float = 20.0
    v_th: float = 0.5
    refractory_ms: float = 5
    dampening: float = 0.3
    beta: float = 0.03
    tau_a_ms: float = 1200.0
    n_adaptive: int | None = None
    dt_ms: float = 1.0
    surrogate: Surrogate | None = None
    names: ClassVar[tuple[str, ...]] = ("v", "a")

    def __post_init__(self) -> None:
        """Raises UsageError where a parameter is out of range."""
        super().__post_init__()
        check_number("ALIF", tau_a_ms=self.tau_a_ms)
        check_number("ALIF", zero=True, beta=self.beta)
        if self.n_adaptive is not None:
            check_whole("ALIF", 0, n_adaptive=self.n_adaptive)

    def check_population(self, n: int) -> None:
        """See `Neuron.check_population`."""
        if self.n_adaptive is not None and self.n_adaptive > n:
            raise UsageError(f"ALIF(n_adaptive={self.n_adaptive}): the layer has {n} neurons; None lets all adapt")

    @property
    def rho(self) -> float:
        """Decay of the threshold adaptation in one time step, exp(-dt / tau_a)."""
        return math.exp(-self.dt_ms / self.tau_a_ms)

    def update(self, variables: Variables, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Variables:
        """Eq. 20 and 26. The threshold adapts by spikes that were emitted, none while refractory; D sees that."""
        v, a = variables
        return self.alpha * v + current - self.v_th * z_prev, self.rho * a + z_prev_local

    def output(self, variables: Variables) -> Tensor:
        """Eq. 21 with the threshold A = v_th + beta a of Eq. 25."""
        return self.spike(variables[0], self.threshold(variables[1]))

    def adaptation(self, like: Tensor) -> Tensor:
        """beta [neuron]: zero for those that do not adapt; of no elements where none does."""
        if self.n_adaptive == 0:
            return like.new_empty(0)
        index = torch.arange(like.shape[-1], device=like.device)
        n_adaptive = like.shape[-1] if self.n_adaptive is None else self.n_adaptive
        return self.beta * (index >= like.shape[-1] - n_adaptive).to(like.dtype)

    def local(self, trajectory: Trajectory) -> LocalJacobians:
        """D of Eq. 27, [[alpha, 0], [h, rho - h beta]] with the h of the step before; dz/ds = (h, -beta h) (Eq. 28).

        Before the first step h is taken as zero: nothing that e-prop sums up looks back that far.
        """
        h = trajectory.h
        beta = self.adaptation(h) if self.n_adaptive != 0 else 0.0
        h_before = torch.nn.functional.pad(h[:, :-1], (0, 0, 1, 0))
        zero, one = torch.zeros_like(h), torch.ones_like(h)
        d = torch.stack([self.alpha * one, zero, h_before, self.rho - h_before * beta], dim=-1).unflatten(-1, (2, 2))
        by_current, by_z_prev = torch.stack([one, zero], dim=-1), torch.stack([-self.v_th * one, zero], dim=-1)
        return LocalJacobians(d, by_current, by_z_prev, torch.stack([h, -beta * h], dim=-1))
