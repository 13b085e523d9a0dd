"""The clock of tasks 1.1 and 2.1: input neurons whose spikes encode the time within a trial."""

import torch
from torch import Tensor

GROUPS = 5  # Pattern generation task 1.1, Target movement task 2.1


def clock(n_in: int, trial_ms: float, rate_hz: float, dt_ms: float) -> Tensor:
    """Input spikes [time, input]: group g fires regularly, and in step, during the g-th fifth of the trial."""
    steps, period = round(trial_ms / dt_ms), round(1000 / rate_hz / dt_ms)
    group = torch.arange(n_in) * GROUPS // n_in
    onset = group * steps // GROUPS
    end = (group + 1) * steps // GROUPS
    t = torch.arange(steps)[:, None]
    return ((t >= onset) & (t < end) & ((t - onset) % period == 0)).float()
