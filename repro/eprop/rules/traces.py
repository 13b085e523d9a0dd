"""Eligibility traces (Eq. 3, 23, 28, 57), and what replaces them in the paper's comparisons."""

import dataclasses
import math

from torch import Tensor

from repro.eprop.errors import UsageError, written
from repro.eprop.kernels import dispatch
from repro.eprop.neurons.integrate_and_fire import refractory_mask
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.neuron import Neuron, Trajectory

CLOPATH_TAU_MS = 10.0  # below Eq. 57
KINDS = ("full", "truncated", "presynaptic", "clopath")


@dataclasses.dataclass(frozen=True)
class Trace:
    """e_ji^t of a neuron.

    | kind | e_ji^t |
    |---|---|
    | full | dz/ds . epsilon (Eq. 3), with the vector of Eq. 2; for LIF h_j z-hat_i (Eq. 23) |
    | truncated | dz/ds . ds/dtheta: the vector without its past; for spiking neurons h_j z_i |
    | presynaptic | z_i |
    | clopath | Clopath factor of j times the spike trace z-hat_i (Eq. 57; the text: "identical"); LIF only |

    `clopath_thresholds` is "printed" (v- = v_th / 4, v+ = 0) or "swapped"; `clopath_rectified`: whether [v - v+] has
    the rectifier that Eq. 57 does not print; `clopath_falls_off`: whether the factor is zero from v = 2 v_th on, where
    the pseudo-derivative is zero too (as printed it grows with v).
    """

    kind: str = "full"
    clopath_thresholds: str = "printed"
    clopath_rectified: bool = True
    clopath_falls_off: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for an unknown kind."""
        if self.kind not in KINDS:
            raise UsageError(f"trace={self.kind!r}: a trace is one of {', '.join(KINDS)}")
        if self.clopath_thresholds not in ("printed", "swapped"):
            raise UsageError(f"clopath_thresholds={self.clopath_thresholds!r}: it is printed or swapped")

    def __repr__(self) -> str:
        return written(self, shows_first=True)

    @property
    def keeps_variables(self) -> bool:
        """Whether the forward pass has to keep the neurons' variables."""
        return self.kind == "clopath"

    @property
    def differentiates(self) -> bool:
        """Whether it contains the derivative of the output, so that a gradient of the input current is defined."""
        return self.kind in ("full", "truncated")

    def delta(self, trajectory: Trajectory, neuron: Neuron, signal: Tensor) -> Tensor:
        """What multiplies the raw presynaptic activity in sum_t L e; like `signal` L, [batch, time, neuron].

        Raises UsageError for the Clopath trace of another neuron than LIF.
        """
        if self.kind == "full":
            return neuron.e_prop_delta(trajectory, signal)
        if self.kind == "clopath":
            self.check_neuron(neuron)
            assert isinstance(neuron, LIF)
            factor, no_adaptation = self.clopath_factor(trajectory, neuron), signal.new_empty(0)
            delta: Tensor = dispatch.of(signal).local_reverse(factor, signal, no_adaptation, neuron.alpha, 0.0)
            return delta
        return trajectory.h * signal if self.kind == "truncated" else signal

    def check_neuron(self, neuron: Neuron) -> None:
        """Raises UsageError for a neuron that the trace is not defined for."""
        if self.kind == "clopath" and not isinstance(neuron, LIF):
            raise UsageError(f"trace=clopath is defined for LIF neurons (Eq. 57), not for {type(neuron).__name__}")

    def clopath_factor(self, trajectory: Trajectory, neuron: LIF) -> Tensor:
        """[v - v+]+ [v-hat - v-]+ (Eq. 57), zero while refractory like the pseudo-derivative that it replaces."""
        decay = math.exp(-neuron.dt_ms / CLOPATH_TAU_MS)
        (v,) = trajectory.variables
        v_hat = (1 - decay) * dispatch.exponential_filter(v, decay)
        low, high = neuron.v_th / 4, 0.0
        if self.clopath_thresholds == "swapped":
            low, high = high, low
        now = v - high
        if self.clopath_rectified:
            now = now.clamp(min=0)
        if self.clopath_falls_off:
            now = now * (v < 2 * neuron.v_th)
        blocked = refractory_mask(trajectory.z, neuron.refractory_steps, trajectory.before)
        return now * (v_hat - low).clamp(min=0) * ~blocked


FULL = Trace()
