"""Artificial neurons with a leak (Eq. 30): s^t = alpha s^(t-1) + I^t, z = sigma(s)."""

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from repro.neurons.local import Local
from repro.neurons.neuron import Neuron, Own, Trajectory


@dataclasses.dataclass(frozen=True)
class Rate(Neuron):
    """A population of rate neurons; `alpha` is the leak, 0 a neuron without memory; sigma is the logistic function."""

    alpha: float
    names: ClassVar[tuple[str, ...]] = ("s",)

    def update(self, own: Own, fired: Tensor, sent: Tensor, current: Tensor) -> Own:
        """The leak term and the current; nothing is reset."""
        return (self.alpha * own[0] + current,)

    def output(self, own: Own) -> Tensor:
        """z = sigma(s)."""
        return torch.sigmoid(own[0])

    def local(self, trajectory: Trajectory) -> Local:
        """D = alpha, dz/ds = sigma'(s) = z (1 - z) (below Eq. 30)."""
        z = trajectory.z[..., None]
        ones = torch.ones_like(z)
        return Local(self.alpha * ones[..., None], ones, torch.zeros_like(z), z * (1 - z))
