"""The family of tasks of task 2.1: random movements of the arm (Eq. 60)."""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from repro.errors import unknown
from repro.runs.seeds import generator
from tasks.arm_reaching.arm import integrate, tip

REACH = math.pi / 2  # rad to either side of START: phi_1 in [-pi/2, pi/2], phi_2 in [0, pi]
OMEGA_READINGS = ("frequency", "period")


@dataclasses.dataclass(frozen=True)
class Family:
    """Settings that all movements share.

    Each component of a joint's velocity is a sine of random phase; omega is uniform in [omega_low, omega_high]. It is
    a "frequency", sin(2 pi omega t / T + delta), as printed; or a "period", sin(2 pi t / (omega T) + delta), as in the
    authors' code, so that movements are faster. Components of the first joint have amplitudes uniform in
    [0, amplitude_high] rad/s, those of the second `peak_to_peak` rad/s from lowest to highest value.
    Raises UserError for another reading of omega.
    """

    trial_ms: float
    dt_ms: float
    components: int
    amplitude_high: float
    omega_low: float
    omega_high: float
    omega_reading: str
    peak_to_peak: float

    def __post_init__(self) -> None:
        if self.omega_reading not in OMEGA_READINGS:
            raise unknown("reading of omega", self.omega_reading, OMEGA_READINGS)


class Movements(NamedTuple):
    """Movements to learn: velocities [batch, time, joint] in rad/s, angles [batch, time, joint] in rad that they lead
    to, and positions y* [batch, time, (x, y)] of the tip."""

    velocities: Tensor
    angles: Tensor
    positions: Tensor


def movements(family: Family, batch: int, seed: int, purpose: str, index: int) -> Movements:
    """Batch number `index` for "training" or another purpose: a pure function of its arguments."""
    drawn = components(family, batch, generator(seed, purpose, "movements", index)).sum(dim=-1)
    velocities = within_reach(drawn, family.dt_ms)
    angles = integrate(velocities, family.dt_ms)
    return Movements(velocities, angles, tip(angles))


def components(family: Family, batch: int, random: torch.Generator) -> Tensor:
    """q [batch, time, joint, component] in rad/s of Eq. 60, those of the second joint rescaled."""
    shape = (batch, 1, 2, family.components)
    omega = family.omega_low + (family.omega_high - family.omega_low) * torch.rand(shape, generator=random)
    phase = 2 * math.pi * torch.rand(shape, generator=random)
    amplitude = family.amplitude_high * torch.rand((batch, 1, family.components), generator=random)
    cycles = omega if family.omega_reading == "frequency" else 1 / omega
    steps = round(family.trial_ms / family.dt_ms)
    t = torch.arange(steps)[:, None, None] / steps
    first, second = torch.sin(2 * math.pi * cycles * t + phase).unbind(dim=2)
    # The second joint's own S cancels, and is not drawn: a zero among millions of draws would make it 0 / 0.
    extent = second.amax(dim=1, keepdim=True) - second.amin(dim=1, keepdim=True)
    return torch.stack([amplitude * first, family.peak_to_peak / extent * second], dim=2)


def within_reach(velocities: Tensor, dt_ms: float) -> Tensor:
    """The same [batch, time, joint], slowed down by one factor a joint where that joint would leave its limits.

    The text only states "rescaled to match the constraints"; one factor for the whole movement is the authors' code's.
    """
    furthest = (velocities.cumsum(dim=1) * (dt_ms / 1000)).abs().amax(dim=1, keepdim=True)
    return velocities * (REACH / furthest).clamp(max=1)
