"""Eligibility traces of a spiking neuron, each a postsynaptic factor times a presynaptic one (Eq. 23, 57)."""

import dataclasses
import math

import torch
from torch import Tensor

from repro.kernels.ops import exponential_filter
from repro.network import Trajectory
from repro.neurons.lif import LIF

CLOPATH_TAU_MS = 10.0  # below Eq. 57


@dataclasses.dataclass(frozen=True)
class Trace:
    """e_ji^t = post_j^t pre_i^(t-1).

    ============  =====================  ==================================================
    kind          post                   pre
    ============  =====================  ==================================================
    full          pseudo-derivative h    spike trace z-hat, decay alpha (Eq. 22, 23)
    truncated     pseudo-derivative h    spike z
    presynaptic   1                      spike z
    clopath       Clopath factor         spike trace z-hat (Eq. 57; the text: "identical")
    ============  =====================  ==================================================
    """

    kind: str
    clopath_thresholds: str = "printed"
    clopath_rectified: bool = True

    def decay(self, neuron: LIF) -> float:
        """Decay of the presynaptic factor in one step."""
        return neuron.alpha if self.kind in ("full", "clopath") else 0.0

    def post(self, trajectory: Trajectory, neuron: LIF) -> Tensor:
        """The postsynaptic factor [batch, time, neuron]."""
        if self.kind == "clopath":
            return self._clopath(trajectory, neuron)
        return torch.ones_like(trajectory.h) if self.kind == "presynaptic" else trajectory.h

    def _clopath(self, trajectory: Trajectory, neuron: LIF) -> Tensor:
        """[v - v+]+ [v-hat - v-]+ (Eq. 57), zero while refractory like the pseudo-derivative that it replaces."""
        decay = math.exp(-neuron.dt_ms / CLOPATH_TAU_MS)
        v = trajectory.v
        v_hat = (1 - decay) * exponential_filter(v, decay, reverse=False)
        low, high = neuron.v_th / 4, 0.0
        if self.clopath_thresholds == "swapped":
            low, high = high, low
        now = v - high
        if self.clopath_rectified:
            now = now.clamp(min=0)
        return now * (v_hat - low).clamp(min=0) * ~refractory(trajectory.z, neuron.refractory_steps)


def refractory(z: Tensor, steps: int) -> Tensor:
    """Where [batch, time, neuron] a neuron is held silent by a spike of its own less than `steps` steps ago."""
    spikes = torch.cumsum(z, dim=1)
    before = torch.nn.functional.pad(spikes, (0, 0, steps, 0))
    recent = before[:, steps - 1 : -1] - before[:, : z.shape[1]] if steps else torch.zeros_like(z)
    return recent > 0
