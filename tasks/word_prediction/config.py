"""Word prediction task 3.2 (Fig. 4d, f, h): the paper's values, what it leaves open, the variants.

"The same implementation" as TensorFlow's tutorial on recurrent networks, in its small configuration, with one layer of
units in place of two. An iteration is an epoch: the training text once, cut into 20 streams that are read side by side
in windows, with an update after each of them.
"""

import dataclasses

from repro.errors import UserError
from repro.runs.config import Value, assumed, paper
from repro.runs.rule_settings import WindowSettings
from repro.runs.task import Profile, Task, Variant
from tasks.word_prediction.data_location import data_here, data_version

TEXT = "Word prediction task 3.2"
TUTORIAL = "not named; the tutorial's small configuration"


@dataclasses.dataclass(frozen=True)
class WordPredictionConfig(WindowSettings):
    """Every value of a run of task 3.2."""

    corpus: str = paper(
        "ptb",
        TEXT + "; or a text of the user's, or one that every machine has: neither is compared with the paper",
        choices=("ptb", "text", "stand_in"),
    )
    corpus_digest: str = paper("", TEXT + "; digits that name a text of the user's: runs of another one are other runs")
    training_words: int = paper(0, TEXT + ": the whole text; n: its first n words", low=0, high=1_000_000_000)
    evaluated_words: int = paper(
        0, TEXT + ": validation and test text are read whole; n: the first n words of each", low=0, high=1_000_000_000
    )
    vocabulary: int = paper(10_000, TEXT + ": the most frequent words", low=2, high=10_000_000)
    algorithm: str = assumed(
        "windows",
        "autograd: torch's LSTM trained by autograd, BPTT within windows",
        choices=("windows", "autograd"),
    )
    layers: int = paper(1, TEXT + ": one in place of the tutorial's two", low=1, high=100)
    units: int = paper(200, TEXT, low=1, high=100_000)
    forget_bias: float = assumed(0.0, TUTORIAL, low=-100.0, high=100.0)
    init_scale: float = assumed(
        0.1, TUTORIAL + ": weights uniform within it, biases of gates zero", low=0.0, high=100.0
    )
    synthetic_hidden: int = paper(400, TEXT, low=1, high=1_000_000)
    synthetic_learning_rate: float = assumed(
        0.0, "'gradient descent' for all; 0: the network's. The same factors decay it", low=0.0, high=3.4e38
    )
    iterations: int = paper(20, "Word prediction task 3.2 (Methods): epochs", low=1, high=1_000_000)
    batch_size: int = paper(20, "Word prediction task 3.2 (Methods)", low=1, high=100_000)
    learning_rate: float = paper(1.0, "Word prediction task 3.2 (Methods)", low=0.0, high=3.4e38)
    decay_factor: float = paper(0.5, "Word prediction task 3.2 (Methods): after every epoch", low=0.0, high=1.0)
    full_epochs: int = assumed(
        4,
        "epochs before the decay, 'starting with epoch 5': the fifth has half the rate, as in TensorFlow's tutorial; "
        "or it is the first after which the rate falls (5)",
        low=0,
        high=1_000_000,
    )
    clip_norm: float = assumed(5.0, TUTORIAL + ", of all gradients together", low=0.0, high=1e9)
    clip_counts_synthetic: bool = assumed(
        True, "whether gradients of the synthetic gradients' own weights belong to that norm"
    )

    def __post_init__(self) -> None:
        """Raises UserError where values do not go together."""
        if self.algorithm == "autograd" and (self.vectors != "none" or self.synthetic or not self.recurrence):
            raise UserError("algorithm=autograd is BPTT: it needs vectors=none, synthetic=false and recurrence=true")
        if self.layers > 1 and self.algorithm != "autograd":
            raise UserError(f"layers={self.layers}: more than one layer trains by algorithm=autograd")
        if not self.truncation_steps:
            raise UserError("truncation_steps=0: a text is one sequence; name the steps of a window")
        super().__post_init__()


PLAIN: dict[str, Value] = {"vectors": "none", "synthetic": False}
VARIANTS = {
    "bptt_20": Variant("BPTT, 20 steps", "BPTT within windows of 20 steps", {**PLAIN, "truncation_steps": 20}),
    "bptt_4": Variant("truncated BPTT", "BPTT within windows of 4 steps", PLAIN),
    "synthetic_gradients": Variant(
        "synthetic gradients", "the same, with a predicted boundary (Jaderberg et al., 2016)", {"vectors": "none"}
    ),
    "bptt_4_traces": Variant(
        "truncated BPTT + eligibility traces", "e-prop 3 with boundaries of zero", {"synthetic": False}
    ),
    "e_prop_1": Variant(
        "e-prop 1", "true readout weights, no learning signal looks ahead", {"recurrence": False, "synthetic": False}
    ),
    "e_prop_3": Variant("e-prop 3", "eligibility vectors and synthetic gradients (Algorithm 1)", {}),
    "e_prop_3_truncated_traces": Variant(
        "e-prop 3, truncated traces", "ds/dtheta in place of eligibility vectors", {"vectors": "truncated"}
    ),
    "bptt_20_two_layers": Variant(
        "BPTT, 20 steps, two layers",
        "the tutorial's own network",
        {**PLAIN, "truncation_steps": 20, "layers": 2, "algorithm": "autograd"},
    ),
}

PROFILES = {
    "smoke": Profile(
        "seconds, for tests: shows that the machine runs, not what it learns",
        {
            **{"training_words": 1200, "evaluated_words": 1200, "units": 8, "synthetic_hidden": 8},
            **{"iterations": 2, "batch_size": 4},
        },
        (0,),
    ),
    "quick": Profile(
        "the paper's network on the first 50,000 words, five epochs, one seed",
        {"training_words": 50_000, "iterations": 5},
        (0,),
    ),
    "paper": Profile("the paper's own size, three seeds", {}, (0, 1, 2)),
}

TASK = Task(
    name="word_prediction",
    figure="fig4",
    panels=("4d", "4f", "4h"),
    about="a network of LSTM units predicts the next word of a text (Fig. 4d, f, h)",
    config=WordPredictionConfig,
    variants=VARIANTS,
    profiles=PROFILES,
    module="tasks.word_prediction.module:WordPredictionModule",
    data="tasks.word_prediction.data:WordPredictionData",
    summary="tasks.word_prediction.record:summary",
    observers="tasks.word_prediction.record:observers",
    seconds={
        "bptt_20": 3000.0,
        "bptt_4": 5000.0,
        "synthetic_gradients": 8500.0,
        "bptt_4_traces": 5800.0,
        "e_prop_1": 5800.0,
        "e_prop_3": 9000.0,
        "e_prop_3_truncated_traces": 8500.0,
        "bptt_20_two_layers": 3600.0,
    },
    megabytes=1.0,
    work=("iterations", "batch_size", "training_words"),
    commands="tasks.word_prediction.command:add",
    whole={"training_words": 929_589},
    headline="perplexity",
    curves=("test_perplexity", "valid_perplexity", "loss"),
    data_here=data_here,
    data_version=data_version,
    substitutes={
        "Python's language reference in place of Penn Treebank": {"corpus": "stand_in"},
        "a text of your own in place of Penn Treebank": {"corpus": "text"},
    },
    listed={"synthetic_learning_rate": (0.01,), "full_epochs": (5,)},
)
