"""The firing-rate term (Eq. 54-56) and its readings."""

import dataclasses

import torch
from torch import Tensor

from repro.eprop.kernels.events import Spikes
from repro.eprop.kernels.padding import spikes_of


@dataclasses.dataclass(frozen=True)
class RateTerm:
    """E_reg = cost times the squared distance of mean firing rates from a target (Eq. 54).

    `reading` says what the text leaves open: "sum" over neurons (Eq. 54) or their "mean" ("the mean squared error"), or
    the "population" mean rate alone ("the mean firing rate of all neurons"); and the unit, "khz" or "hz".
    """

    reading: str
    cost: float
    target_hz: float
    dt_ms: float = 1.0

    def rates_hz(self, z: Spikes, lengths: Tensor | None = None) -> Tensor:
        """Mean firing rate [neuron] in Hz over all trials and steps of z [batch, time, neuron]; padding beyond
        `lengths` [batch] is left out."""
        count, steps = spikes_of(z, lengths)
        return count * (1000 / self.dt_ms / steps)

    def loss(self, rates_hz: Tensor) -> Tensor:
        """The loss of mean rates [neuron]; differentiable."""
        over, unit = self.reading.split("_")
        if over == "population":
            rates_hz = rates_hz.mean(dim=0, keepdim=True)
        error = (rates_hz - self.target_hz) * (1e-3 if unit == "khz" else 1.0)
        return self.cost * (error.square().sum() if over == "sum" else error.square().mean())

    def signal(self, rates_hz: Tensor, steps: int) -> Tensor:
        """dE_reg/dz_j^t [neuron], the same for every step and trial (Eq. 55, with the factor 2 that it leaves out).

        `rates_hz` are the means over all trials of the update, `steps` their number times the steps of a trial.
        """
        with torch.enable_grad():
            leaf = rates_hz.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.loss(leaf), leaf)
        return slope * (1000 / self.dt_ms) / steps
