"""Leaky readout neurons (Eq. 41, 48)."""

import dataclasses
import math

import torch
from torch import Tensor

from repro.kernels.events import Spikes, linear
from repro.kernels.ops import exponential_filter


@dataclasses.dataclass(frozen=True)
class Readout:
    """y^t = kappa y^(t-1) + scale W_out z^t (Eq. 41, without the bias, which no code of task 1.1 has).

    `one_minus_kappa` sets scale = 1 - kappa, so that tau_out changes how long the readout remembers and not how large
    it is; otherwise scale = 1, as printed.
    """

    tau_out_ms: float
    one_minus_kappa: bool
    dt_ms: float = 1.0

    @property
    def kappa(self) -> float:
        """Decay of the readout in one time step, exp(-dt / tau_out)."""
        return math.exp(-self.dt_ms / self.tau_out_ms)

    @property
    def scale(self) -> float:
        """Factor on the input to the readout."""
        return 1 - self.kappa if self.one_minus_kappa else 1.0

    def __call__(self, z: Spikes, w_out: Tensor, before: Tensor | None = None) -> Tensor:
        """Spikes `z` [batch, time, neuron] and `w_out` [readout, neuron] give y [batch, time, readout].

        `before` [batch, readout] is y just before the first step, zero when left out.
        """
        drive = self.scale * linear(z, w_out)
        if drive.dtype in (torch.bfloat16, torch.float16):
            drive = drive.float()  # the filter sums over many steps
        if before is not None:
            drive = torch.cat([drive[:, :1] + self.kappa * before[:, None], drive[:, 1:]], dim=1)
        return exponential_filter(drive, self.kappa, reverse=False)
