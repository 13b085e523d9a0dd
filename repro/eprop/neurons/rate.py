"""Artificial neurons with a leak (Eq. 30): s^t = alpha s^(t-1) + I^t, z = sigma(s)."""

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from repro.eprop.neurons.local_jacobians import LocalJacobians
from repro.eprop.neurons.neuron import Neuron, Trajectory, Variables


@dataclasses.dataclass(frozen=True)
class Rate(Neuron):
    """A population of rate neurons; `alpha` is the leak, the decay in a time step, a number or
    one for each neuron (a tensor [neuron]); 0 is a neuron without memory. sigma is the logistic function."""

    alpha: float | Tensor = 0.9
    names: ClassVar[tuple[str, ...]] = ("s",)

    def update(self, variables: Variables, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Variables:
        """The leak term and the current; nothing is reset."""
        return (self.alpha * variables[0] + current,)

    def output(self, variables: Variables) -> Tensor:
        """z = sigma(s)."""
        return torch.sigmoid(variables[0])

    def local(self, trajectory: Trajectory) -> LocalJacobians:
        """D = alpha, dz/ds = sigma'(s) = z (1 - z) (above Eq. 30)."""
        z = trajectory.z[..., None]
        ones = torch.ones_like(trajectory.z)  # a leak of each neuron lies along its last axis
        leak = (self.alpha * ones)[..., None, None]
        return LocalJacobians(leak, ones[..., None], torch.zeros_like(z), z * (1 - z))
