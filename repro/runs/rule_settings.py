"""The settings of a learning rule: config values that every task shares. No torch in here."""

import dataclasses

from repro.errors import UserError
from repro.runs.config import assumed, paper


@dataclasses.dataclass(frozen=True)
class RuleSettings:
    """A point on the axes of the learning rules (trace, signal, filter, rate term)."""

    algorithm: str = paper(
        "eprop",
        "Methods, E-prop 1; readout_only: other weights stay as drawn; autograd: the module without a callback",
        choices=("eprop", "bptt", "readout_only", "autograd"),
    )
    evaluator: str = assumed(
        "factored", "equal to the online form up to rounding, and faster", choices=("factored", "online")
    )
    trace: str = paper(
        "full", "Eq. 23; the others are the bars of Fig. 1d", choices=("full", "truncated", "presynaptic", "clopath")
    )
    clopath_thresholds: str = assumed(
        "printed",
        "v- = v_th / 4, v+ = 0 as below Eq. 57; swapped in Clopath et al. 2010",
        choices=("printed", "swapped"),
    )
    clopath_rectified: bool = assumed(True, "Eq. 57 prints [v - v+] without its rectifier; Clopath et al. rectify both")
    clopath_falls_off: bool = assumed(
        False, "Eq. 57 as printed grows with v; true: zero from 2 v_th on, like the pseudo-derivative that it replaces"
    )
    feedback: str = paper("random", "Eq. 49", choices=("random", "symmetric", "global"))
    feedback_variance: str = paper("one_over_n", "Tasks 1.1 and 1.2; one in task 1.3", choices=("one_over_n", "one"))
    feedback_window_ms: int = paper(0, "Fig. 1e: a new matrix for every window; 0 keeps one", low=0, high=10_000)
    feedback_time: str = assumed(
        "error",
        "a new matrix by the time of the error, or by the time slice that it is sent to",
        choices=("error", "slice"),
    )
    dampening: float = paper(0.3, "Implementation of the optimization algorithm", low=0.0, high=10.0)
    rate_loss: str = assumed(
        "population_hz",
        "'the mean firing rate of all neurons over a batch' (text) or of each neuron (Eq. 54), in Hz or kHz; chosen "
        "among readings on seeds 100 to 102 (docs/paper_notes.md)",
        choices=("sum_khz", "sum_hz", "mean_khz", "mean_hz", "population_khz", "population_hz"),
    )
    rate_cost: float = paper(0.5, "Pattern generation task 1.1", low=0.0, high=1e9)
    target_rate_hz: float = paper(10.0, "Pattern generation task 1.1", low=0.0, high=1000.0)


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """A point on the axes of the rules that learn in truncation windows (Fig. 4b)."""

    truncation_steps: int = paper(4, "Implementation of task 3.1, 3.2; 0: the whole sequence", low=0, high=1_000_000)
    vectors: str = paper(
        "carried",
        "Eq. 37; none: truncated BPTT, with or without synthetic gradients; truncated: ds/dtheta alone, in the weights",
        choices=("carried", "none", "truncated"),
    )
    recurrence: bool = paper(True, "Eq. 9; false: e-prop 1, no learning signal looks ahead")
    synthetic: bool = paper(True, "Eq. 64: a predicted boundary; false: zero")
    synthetic_hidden: int = paper(512, "Implementation of task 3.1; 400 in task 3.2", low=1, high=1_000_000)
    synthetic_factor: float = paper(0.1, "below Eq. 64, as in Jaderberg et al. (2016)", low=0.0, high=1e6)
    synthetic_into_network: bool = paper(True, "Algorithm 1, line 6: dE_SG/dtheta")
    synthetic_error: str = paper(
        "sum", "Eq. 66 sums over units; the sentence above it has the mean squared error", choices=("sum", "mean")
    )
    boundary_at_input: str = assumed(
        "whole",
        "weights below the LSTM have no eligibility vectors: they receive the whole boundary gradient, as in BPTT, or "
        "that through the recurrent weights only",
        choices=("whole", "across"),
    )

    def __post_init__(self) -> None:
        """Raises UserError where values do not go together."""
        if self.vectors == "truncated" and not self.recurrence:
            raise UserError(
                "recurrence=false is e-prop 1, which the paper has with carried vectors: leave vectors alone"
            )
        if self.synthetic and (not self.recurrence or not self.truncation_steps):
            raise UserError(
                "synthetic=true predicts the gradient of later windows: it wants recurrence=true and truncation_steps "
                "above 0"
            )
