"""Framewise phone classification, task 1.3 (Fig. 2c): values of the paper, values that it leaves open, variants.

One utterance, 16 kHz, of about 3 s on TIMIT:

    frames    f = 0, 1, 2, ...    39 features every 10 ms of audio, each held for 5 steps of 1 ms
    ahead     300 LIF + 100 ALIF  reads frames f = 0 .. F-1
    behind    300 LIF + 100 ALIF  reads frames f = F-1 .. 0, within the utterance: padding is no frame
    readout   61 phones           sums both at the same ms of the utterance; softmax, cross entropy
"""

import dataclasses

from repro.errors import UserError
from repro.runs.config import assumed, paper
from repro.runs.rule_settings import RuleSettings
from repro.runs.task import Profile, Task, Variant
from tasks.speech.source import data_here

TEXT = "Speech recognition task 1.3"
CODE = "the authors' code"
CHOSEN = "chosen among readings on synthesised speech, seed 100 (docs/paper_notes.md)"


@dataclasses.dataclass(frozen=True)
class SpeechConfig(RuleSettings):
    """Every value of a run of task 1.3."""

    feedback_variance: str = paper("one", TEXT + ": 'a variance of 1 instead of 1/n'", choices=("one_over_n", "one"))
    corpus: str = paper("timit", TEXT, choices=("timit", "stand_in"))
    stand_in_recipe: int = assumed(
        1, "names the sentences and voices that are synthesised: another recipe gets another number", choices=(1,)
    )
    train_utterances: int = paper(3696, TEXT, low=1, high=1_000_000)
    validation_utterances: int = paper(400, TEXT, low=1, high=1_000_000)
    test_utterances: int = paper(192, TEXT, low=1, high=1_000_000)
    scaling: str = paper(
        "min_max",
        TEXT + ": 'to the range [0, 1]' by the training set; z_score: zero mean and unit variance, as " + CODE,
        choices=("min_max", "z_score"),
    )
    frame_steps: int = paper(5, TEXT, low=1, high=1000)
    model: str = paper("lsnn", TEXT + "; lstm for the comparison", choices=("lsnn", "lstm"))
    n_lif: int = paper(300, TEXT + ": per direction", low=0, high=100_000)
    n_alif: int = paper(100, TEXT + ": per direction", low=0, high=100_000)
    n_lstm: int = assumed(100, "units per direction: within the range of Greff et al. (2017)", low=1, high=100_000)
    tau_m_ms: float = paper(20.0, TEXT, low=1e-3, high=1e6)
    v_th: float = assumed(
        6.4,
        "'a simple 8 point grid search', its values not printed: the best of ours on synthesised speech, seed 100 "
        "(sweeps/speech_threshold.toml); 0.205 is " + CODE + "'s default",
        low=1e-6,
        high=1e6,
    )
    beta: float = assumed(
        0.184,
        "1.8 as printed is in units of another equation (" + CODE + "); in those of Eq. 25 it is "
        "1.8 (1 - rho) / (1 - alpha)",
        low=0.0,
        high=1e6,
    )
    tau_a_ms: float = paper(200.0, TEXT, low=1e-3, high=1e9)
    refractory_ms: int = paper(2, TEXT, low=0, high=1000)
    dt_ms: float = paper(1.0, "General simulation and neuron parameters", low=1.0, high=1.0)
    tau_out_ms: float = paper(3.0, TEXT, low=1e-3, high=1e6)
    readout_every: str = assumed(
        "ms",
        "the readout of Eq. 41 runs in steps of 1 ms; frame: it filters the mean of each frame's 5 steps, and tau_out "
        "counts frames, as in " + CODE + "; " + CHOSEN,
        choices=("ms", "frame"),
    )
    readout_scale: str = paper(
        "one", "Eq. 41, and " + CODE + "; or times 1 - kappa", choices=("one", "one_minus_kappa")
    )
    task_loss: str = paper(
        "sum",
        "Eq. 51: over an utterance's steps (the mean over a batch; the text adds it up); mean: over both, as in "
        + (CODE + "; " + CHOSEN),
        choices=("sum", "mean"),
    )
    epochs: float = assumed(80.0, "not printed; " + CODE + "'s", low=1e-3, high=1e6)
    batch_size: int = paper(32, TEXT, low=1, high=100_000)
    learning_rate: float = paper(0.01, TEXT + ": fixed", low=0.0, high=3.4e38)
    adam_epsilon: float = paper(1e-5, TEXT, low=1e-30, high=1.0)
    evaluations: int = assumed(
        80, "times that validation and test accuracy are taken: once an epoch, as " + CODE, low=1, high=1_000_000
    )

    @property
    def n_rec(self) -> int:
        """Recurrent neurons, or LSTM units, of both directions."""
        return 2 * (self.n_lstm if self.model == "lstm" else self.n_lif + self.n_alif)

    @property
    def iterations(self) -> int:
        """Batches of a run."""
        return max(1, round(self.epochs * self.train_utterances / self.batch_size))

    def __post_init__(self) -> None:
        """Raises UserError where values do not go together."""
        if not self.n_lif + self.n_alif:
            raise UserError("n_lif=0 with n_alif=0: a network has at least one neuron a direction")
        if self.trace == "clopath":
            raise UserError("trace=clopath is a rule for task 1.1: here trace is full, truncated or presynaptic")
        if self.evaluator == "online":
            raise UserError("evaluator=online cannot read an utterance from its end: use evaluator=factored")
        if self.feedback_window_ms:
            raise UserError("feedback_window_ms belongs to task 1.1: here the feedback weights are drawn once")
        if (self.model == "lstm") != (self.algorithm == "autograd"):
            raise UserError("model=lstm trains by algorithm=autograd, and model=lsnn by any other")


VARIANTS = {
    "readout_only": Variant(
        "readout plasticity only", "the LSNN stays as it was drawn", {"algorithm": "readout_only"}
    ),
    "e_prop_1": Variant("e-prop 1", "random feedback of variance 1, drawn once (Eq. 50)", {}),
    "e_prop_1_variance_1_over_n": Variant(
        "e-prop 1, var. 1/n", "random feedback of variance 1/n, as in task 1.1", {"feedback_variance": "one_over_n"}
    ),
    "e_prop_1_symmetric": Variant("e-prop 1s", "feedback by the readout weights (Eq. 47)", {"feedback": "symmetric"}),
    "bptt": Variant("BPTT", "backpropagation through time, reset and recurrence attached", {"algorithm": "bptt"}),
    "lstm_bptt": Variant("LSTM", "a bidirectional LSTM, BPTT", {"model": "lstm", "algorithm": "autograd"}),
}  # fmt: skip

PROFILES = {
    "smoke": Profile(
        "seconds, for tests: shows that the machine runs, not what it learns",
        {
            **{"train_utterances": 16, "validation_utterances": 4, "test_utterances": 4, "batch_size": 4},
            **{"n_lif": 12, "n_alif": 4, "n_lstm": 8, "epochs": 3.0, "evaluations": 3},
        },
        (0,),
    ),
    "quick": Profile(
        "half of the paper's neurons on a third of its utterances for 25 epochs, one seed",
        {
            **{"train_utterances": 1184, "validation_utterances": 128, "test_utterances": 128},
            **{"n_lif": 150, "n_alif": 50, "epochs": 25.0, "evaluations": 25},
        },
        (0,),
    ),
    "paper": Profile("the paper's own size, three seeds", {}, (0, 1, 2)),
}

TASK = Task(
    name="speech",
    figure="fig2",
    panels=("2c",),
    about="a bidirectional spiking network names the phone of every 10 ms of speech (Fig. 2c)",
    config=SpeechConfig,
    variants=VARIANTS,
    profiles=PROFILES,
    module="tasks.speech.module:SpeechModule",
    data="tasks.speech.data:SpeechData",
    summary="tasks.speech.record:summary",
    observers="tasks.speech.record:observers",
    seconds={
        "readout_only": 5000.0,
        "e_prop_1": 6200.0,
        "e_prop_1_variance_1_over_n": 6200.0,
        "e_prop_1_symmetric": 6200.0,
        "bptt": 9000.0,
        "lstm_bptt": 2000.0,
    },
    megabytes=20.0,
    work=("iterations", "n_rec", "batch_size"),
    commands="tasks.speech.command:add",
    headline="accuracy",
    curves=("test_accuracy", "validation_accuracy", "loss", "rate_hz"),
    data_here=data_here,
    substitutes={"synthesised speech in place of TIMIT": {"corpus": "stand_in"}},
    listed={"v_th": (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 12.8), "beta": (1.8,)},
)
