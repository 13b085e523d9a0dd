"""Pattern generation task 1.1 (Fig. 1c-e): values that the paper prints, values that it leaves open, the bars.

One trial, 1000 ms, batch of one:

    time (ms)        0         200       400       600       800      1000
    input  0-3       | | | | | .         .         .         .           100 Hz, regular
    input  4-7       .         | | | | | .         .         .
    ...
    input 16-19      .         .         .         .         | | | | |
    target k         sum over f in (1, 2, 3, 5 Hz) of A_kf sin(2 pi f t + phi_kf)      k = 0, 1, 2
"""

import dataclasses

from repro.runs.config import assumed, paper
from repro.runs.rule_settings import RuleSettings
from repro.runs.task import Profile, Task, Variant

TEXT = "Pattern generation task 1.1"
CHOSEN = "chosen among readings on seeds 100 to 102 (docs/paper_notes.md)"


@dataclasses.dataclass(frozen=True)
class PatternGenerationConfig(RuleSettings):
    """Every value of a run of task 1.1."""

    n_rec: int = paper(600, TEXT, low=1, high=100_000)
    n_in: int = paper(20, TEXT, low=5, high=100_000)
    n_out: int = paper(3, TEXT, low=1, high=1000)
    recurrent: bool = paper(True, "Fig. 1d: 'No rec. conn.' has none")
    tau_m_ms: float = paper(20.0, TEXT, low=1e-3, high=1e6)
    tau_out_ms: float = paper(20.0, TEXT, low=1e-3, high=1e6)
    v_th: float = paper(0.61, TEXT, low=1e-6, high=1e6)
    refractory_ms: int = paper(5, TEXT, low=0, high=1000)
    dt_ms: float = paper(1.0, "General simulation and neuron parameters", choices=(0.25, 0.5, 1.0))
    trial_ms: int = paper(1000, TEXT, low=5, high=100_000)
    clock_rate_hz: float = paper(100.0, TEXT, low=1.0, high=1000.0)
    amplitude_low: float = paper(0.5, TEXT, low=0.0, high=100.0)
    amplitude_high: float = paper(2.0, TEXT, low=0.0, high=100.0)
    target_scale: str = assumed(
        "tutorial",
        "printed: sines as they are; in the authors' tutorial minus the first value, over the largest modulus; "
        + CHOSEN,
        choices=("raw", "tutorial"),
    )
    readout_scale: str = assumed(
        "one_minus_kappa",
        "printed: the input of the readout times 1 (Eq. 41); in the authors' tutorials times 1 - kappa; " + CHOSEN,
        choices=("one", "one_minus_kappa"),
    )
    task_loss: str = assumed(
        "half_sum",
        "'target-mse' may be the mean over time and readouts or the half sum above Eq. 42; " + CHOSEN,
        choices=("mean", "half_sum"),
    )
    iterations: int = paper(1000, TEXT, low=1, high=10_000_000)
    batch_size: int = paper(1, TEXT, low=1, high=100_000)
    learning_rate: float = paper(0.003, TEXT, low=0.0, high=3.4e38)
    decay_factor: float = paper(0.7, TEXT, low=0.0, high=1.0)
    decay_every: int = paper(100, TEXT, low=1, high=10_000_000)
    final_trials: int = assumed(20, "a bar of Fig. 1d is the mean over the last trials of a run", low=1, high=10_000)


VARIANTS = {
    "bptt": Variant("BPTT", "backpropagation through time, reset and recurrence attached", {"algorithm": "bptt"}),
    "e_prop_1": Variant("e-prop 1", "random feedback, drawn once (Eq. 49)", {}),
    "e_prop_1_symmetric": Variant("e-prop 1s", "feedback by the readout weights (Eq. 46)", {"feedback": "symmetric"}),
    "clopath": Variant("Clopath rule", "Eq. 57 in place of the pseudo-derivative", {"trace": "clopath"}),
    "binary": Variant(
        "binary",
        "the raw presynaptic spike in place of its trace, a reading of 'the binary variable'",
        {"trace": "truncated"},
    ),
    "no_recurrence": Variant("No rec. conn.", "e-prop 1 without recurrent connections", {"recurrent": False}),
    "global_signal": Variant("global", "one signal for all neurons, B = 1 / sqrt(n)", {"feedback": "global"}),
    "resampled_20ms": Variant("20 ms", "a new feedback matrix every 20 ms", {"feedback_window_ms": 20}),
    "resampled_1ms": Variant("1 ms", "a new feedback matrix every ms", {"feedback_window_ms": 1}),
}

PROFILES = {
    "smoke": Profile(
        "seconds, for tests: shows that the machine runs, not what it learns",
        {"n_rec": 40, "trial_ms": 100, "iterations": 12, "decay_every": 5, "final_trials": 4},
        (0,),
    ),
    "quick": Profile("the paper's own size, one seed", {}, (0,)),
    # The first ten of the seeds that the verdicts rest on.
    "paper": Profile("the paper's own size, ten seeds", {}, tuple(range(10, 20))),
}

TASK = Task(
    name="pattern_generation",
    figure="fig1",
    panels=("1c", "1d", "1e"),
    about="a recurrent spiking network learns to generate three patterns of 1 s (Fig. 1c-e)",
    config=PatternGenerationConfig,
    variants=VARIANTS,
    profiles=PROFILES,
    module="tasks.pattern_generation.module:PatternGenerationModule",
    data="tasks.pattern_generation.data:PatternGenerationData",
    summary="tasks.pattern_generation.record:summary",
    observers="tasks.pattern_generation.record:observers",
    seconds=dict.fromkeys(VARIANTS, 12.0),
    megabytes=5.0,
    work=("iterations", "trial_ms", "n_rec", "batch_size"),
    headline="nmse",
    curves=("nmse", "loss", "rate_hz"),
)
