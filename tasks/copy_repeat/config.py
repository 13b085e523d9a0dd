"""Copy-repeat task 3.1 (Fig. 4c, e, g): values that the paper prints, values that it leaves open, the variants.

One iteration is a batch of sequences of the level that the curriculum is at, processed in windows of four steps,
with an update after each of them; `tasks/copy_repeat/sequences.py` shows a sequence.
"""

import dataclasses

from repro.errors import UserError
from repro.runs.config import Value, assumed, paper
from repro.runs.rule_settings import WindowSettings
from repro.runs.task import Profile, Task, Variant

TEXT = "Copy-repeat task 3.1"
IMPLEMENTATION = "Copy-repeat task 3.1, Implementation"


@dataclasses.dataclass(frozen=True)
class CopyRepeatConfig(WindowSettings):
    """Every value of a run of task 3.1."""

    units: int = paper(256, IMPLEMENTATION, low=1, high=100_000)
    squash: bool = paper(False, "Eq. 36 prints h = o c; true: h = o tanh(c), as most LSTMs are")
    forget_bias: float = assumed(1.0, "not named; the default of TensorFlow's LSTM cell", low=-100.0, high=100.0)
    init_scale: float = assumed(
        0.0, "not named; 0: weights uniform within one over the root of the units", low=0.0, high=100.0
    )
    solved_bits: float = paper(0.15, TEXT + ": bits a sequence, mean over the batch", low=0.0, high=1e6)
    iterations: int = assumed(60_000, "batches; the text names no number", low=1, high=1_000_000_000)
    batch_size: int = paper(256, IMPLEMENTATION, low=1, high=100_000)
    learning_rate: float = paper(1e-4, TEXT, low=0.0, high=3.4e38)
    clip_norm: float = assumed(0.0, "the norm that gradients are clipped at; 0: the text names none", low=0.0, high=1e9)
    estimate_errors: bool = assumed(
        False, "measure in training how far e-prop 3 and truncated BPTT are from the true gradient (Eq. 10)"
    )

    def __post_init__(self) -> None:
        """Raises UserError where values do not go together."""
        super().__post_init__()
        if self.estimate_errors and not self.synthetic:
            raise UserError("estimate_errors=true compares estimates with synthetic gradients: synthetic is true")


PLAIN: dict[str, Value] = {"vectors": "none", "synthetic": False}
VARIANTS = {
    "bptt_4": Variant("truncated BPTT", "BPTT within windows of 4 steps", PLAIN),
    "synthetic_gradients": Variant(
        "synthetic gradients", "the same, with a predicted boundary (Jaderberg et al., 2016)", {"vectors": "none"}
    ),
    "e_prop_1": Variant(
        "e-prop 1", "true readout weights, no learning signal looks ahead", {"recurrence": False, "synthetic": False}
    ),
    "bptt_full": Variant("full BPTT", "BPTT through the whole sequence", {**PLAIN, "truncation_steps": 0}),
    "bptt_4_traces": Variant(
        "truncated BPTT + eligibility traces", "e-prop 3 with boundaries of zero", {"synthetic": False}
    ),
    "e_prop_3": Variant("e-prop 3", "eligibility vectors and synthetic gradients (Algorithm 1)", {}),
    "e_prop_3_truncated_traces": Variant(
        "e-prop 3, truncated traces", "ds/dtheta in place of eligibility vectors", {"vectors": "truncated"}
    ),
}

# Not the paper's: a network that learns in minutes, at the learning rate at which it does.
SCALED_DOWN: dict[str, Value] = {"units": 64, "batch_size": 32, "synthetic_hidden": 128, "learning_rate": 3e-3}

PROFILES = {
    "smoke": Profile(
        "seconds, for tests: shows that the machine runs, not what it learns",
        {
            "units": 16,
            "synthetic_hidden": 16,
            "batch_size": 8,
            "learning_rate": 0.01,
            "iterations": 40,
            "solved_bits": 7.0,
        },
        (0,),
    ),
    "quick": Profile(
        "64 units in place of 256, batches of 32, a larger learning rate, 12,000 batches",
        {**SCALED_DOWN, "iterations": 12_000},
        (0,),
    ),
    "paper": Profile("the paper's own size, three seeds", {}, (0, 1, 2)),
}

TASK = Task(
    name="copy_repeat",
    figure="fig4",
    panels=("4c", "4e", "4g"),
    about="a network of LSTM units copies a pattern a given number of times (Fig. 4c, e, g)",
    config=CopyRepeatConfig,
    variants=VARIANTS,
    profiles=PROFILES,
    module="tasks.copy_repeat.module:CopyRepeatModule",
    data="tasks.copy_repeat.data:CopyRepeatData",
    summary="tasks.copy_repeat.record:summary",
    observers="tasks.copy_repeat.record:observers",
    seconds={
        "bptt_4": 5200.0,
        "synthetic_gradients": 10_500.0,
        "e_prop_1": 9300.0,
        "bptt_full": 5200.0,
        "bptt_4_traces": 9300.0,
        "e_prop_3": 15_000.0,
        "e_prop_3_truncated_traces": 10_500.0,
    },
    megabytes=3.0,
    work=("iterations", "batch_size"),
    headline="length_solved",
    curves=("length_solved", "loss"),
)
