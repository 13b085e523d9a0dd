"""Leaky readout neurons (Eq. 41, 48)."""

import dataclasses
import math

import torch
from torch import Tensor

from repro.eprop.kernels.dispatch import exponential_filter
from repro.eprop.kernels.events import Spikes, linear


@dataclasses.dataclass(frozen=True)
class Readout:
    """y^t = kappa y^(t-1) + scale W_out z^t (Eq. 41, without the bias, which no code of task 1.1 has).

    `one_minus_kappa` sets scale = 1 - kappa, so that tau_out changes how long the readout remembers and not how large
    it is; otherwise scale = 1, as printed. With `frame_steps` above 1 z is the mean over that many steps, a frame, and
    y has a value a frame; tau_out / dt then counts frames.
    """

    tau_out_ms: float
    one_minus_kappa: bool
    dt_ms: float = 1.0
    frame_steps: int = 1

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
        drive = self.drive(z, w_out)
        if before is not None:
            drive = torch.cat([drive[:, :1] + self.kappa * before[:, None], drive[:, 1:]], dim=1)
        return self.filter(drive)

    def drive(self, z: Spikes, w_out: Tensor) -> Tensor:
        """What comes in: scale W_out z, [batch, time or frame, readout]."""
        drive = self.scale * linear(z, w_out)
        if drive.dtype in (torch.bfloat16, torch.float16):
            drive = drive.float()  # the filter sums over many steps
        if self.frame_steps > 1:
            drive = drive.transpose(0, 1).unflatten(0, (-1, self.frame_steps)).mean(dim=1).transpose(0, 1)
        return drive

    def filter(self, drive: Tensor) -> Tensor:
        """y from what comes in."""
        return exponential_filter(drive, self.kappa, reverse=False)

    def to_steps(self, signal: Tensor) -> Tensor:
        """What each step has of a signal to the drive: [batch, time or frame, ...] -> [batch, time, ...]."""
        if self.frame_steps == 1:
            return signal
        spread = (signal / self.frame_steps).transpose(0, 1).repeat_interleave(self.frame_steps, dim=0)
        return spread.transpose(0, 1)
