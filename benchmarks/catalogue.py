"""What is timed: which contenders, in which sizes, and how often. No torch in here."""

import dataclasses

from benchmarks.names import (
    BPTT,
    BPTT_4,
    CELL,
    E_PROP_3,
    EAGER,
    EAGER_E_PROP,
    FACTORED,
    IN_LIGHTNING,
    IN_PLACE,
    JAX_E_PROP_3,
    JAX_FACTORED,
    JAX_REVERSE,
    JAX_WINDOW,
    LIGHTNING,
    LINEAR,
    ONLINE,
    PRINTED,
    SCAN,
    SCAN_BPTT,
    SPIKING,
    STOCK,
    TRACES,
    UNROLLED,
)


@dataclasses.dataclass(frozen=True)
class Bench:
    """One benchmark. `sizes` are values of the task's config (and `frames`, the length of utterances that are made up),
    `label` names them where there are several; `turns` is how often each contender is timed; `notes` are sentences for
    below the table; `unit` is what a batch holds, where the time of one is stated too. The first contender is what
    others are compared with in `ratio_to_eager`."""

    about: str
    task: str
    who: tuple[str, ...]
    sizes: tuple[dict[str, int], ...]
    turns: int
    label: str = ""
    unit: str = ""
    notes: tuple[str, ...] = ()

    def name_of(self, who: str, size: dict[str, int]) -> str:
        """The contender's name, with the size where there are several."""
        return f"{who}, {self.label.format(**size)}" if self.label else who


ALL = (EAGER, EAGER_E_PROP, SCAN, SCAN_BPTT, JAX_FACTORED, JAX_REVERSE, ONLINE, BPTT, FACTORED, LIGHTNING)
GROWING = (EAGER, JAX_FACTORED, ONLINE, BPTT, FACTORED)
RECALL = {"n_lif": 10, "n_alif": 10, "trial_ms": 2400}
ARM = {"n_rec": 400, "n_module": 300, "trial_ms": 500}
SPIKES_CHANGE = "Adam's steps have no length, so that all contenders have the same spikes to process in every turn."
ITERATIONS = {
    "pattern_generation": Bench(
        "one iteration of task 1.1 at the paper's size: 600 neurons, 1000 steps, one trial",
        "pattern_generation",
        ALL,
        ({"n_rec": 600, "trial_ms": 1000},),
        turns=15,
    ),
    "store_recall": Bench(
        "one iteration of task 1.2 at the paper's size: 10 LIF and 10 ALIF neurons, 100 inputs, 2400 steps, 128 trials",
        "store_recall",
        ALL,
        ({**RECALL, "batch_size": 128},),
        turns=9,
        notes=(
            "The batch stays the same and no iteration validates: what it takes to draw trials is not timed. "
            "Ours is given input spikes as events, the others as an array made once.",
        ),
    ),
    "speech": Bench(
        "one iteration of task 1.3 at the paper's size: 300 LIF and 100 ALIF neurons a direction, 32 utterances of 3 s",
        "speech",
        (EAGER, EAGER_E_PROP, BPTT, FACTORED),
        ({"n_lif": 300, "n_alif": 100, "batch_size": 32, "frames": 300},),
        turns=5,
        notes=(
            "The speech is made up: noise in each of 300 frames, held for 5 steps of 1 ms. Weights are as drawn, and "
            f"{SPIKES_CHANGE}",
            "Utterances of unequal length would be padded to the longest, and padding is simulated like speech.",
        ),
    ),
    "arm_reaching": Bench(
        "one outer iteration of task 2.1 at the paper's size: 400 LIF neurons, 300 in the error module, 500 steps, "
        "32 movements",
        "arm_reaching",
        (UNROLLED, SPIKING, LINEAR),
        ({**ARM, "batch_size": 32},),
        turns=5,
        notes=(
            "BPTT goes through both trials, the error module and the update between them; the linear error module is "
            "compared with autograd's time for the spiking one.",
            "The clock is the network's only input, so that its training trial is the same for all movements: ours is "
            "given the clock once and simulates that trial once, autograd's loop for each movement.",
            "Weights are those after 30 iterations, which bring the networks from 70 Hz near the rates that they have "
            f"from then on; {SPIKES_CHANGE}",
            "In autograd's loop the sums of outer products are updated in place, in one buffer for all steps. A new "
            "one in each step would flatter us: with 8 movements it took 1.7 times as long and 2.4 GB more.",
        ),
    ),
    "copy_repeat": Bench(
        "a window of task 3.1 at the paper's size: 256 LSTM units, 4 steps, 256 sequences; the mean of the six windows "
        "of sequences of 23 steps",
        "copy_repeat",
        (
            *(CELL, STOCK, JAX_WINDOW, PRINTED, IN_PLACE, JAX_E_PROP_3),
            *(BPTT_4, TRACES, E_PROP_3, E_PROP_3 + IN_LIGHTNING),
        ),
        ({"units": 256, "batch_size": 256},),
        turns=7,
        notes=(
            "Adam's steps have no length. Units are h = o c as printed, but in torch.nn.LSTM, which has h = o tanh(c).",
            "The textbook's e-prop 3 makes a new array of eligibility vectors in each step; in place it has one, in "
            "the order that is fastest.",
        ),
    ),
    "word_prediction": Bench(
        "a window of task 3.2 at the paper's size: 10,000 words, 200 LSTM units, 4 steps, 20 streams of text; the mean "
        "of two windows in the midst of a text",
        "word_prediction",
        (CELL, STOCK, JAX_WINDOW, IN_PLACE, JAX_E_PROP_3, BPTT_4, E_PROP_3, E_PROP_3 + IN_LIGHTNING),
        ({"vocabulary": 10_000, "units": 200, "batch_size": 20},),
        turns=15,
        notes=(
            "All: embedding, LSTM, softmax, clipping and gradient descent, whose steps have no length. The words are "
            "drawn at random.",
        ),
    ),
}
GROWTH = {
    "pattern_generation_growth_T": Bench(
        "task 1.1 with 600 neurons and ever longer trials",
        "pattern_generation",
        GROWING,
        tuple({"n_rec": 600, "trial_ms": steps} for steps in (500, 1000, 2000, 4000)),
        turns=5,
        label="T = {trial_ms}",
    ),
    "pattern_generation_growth_n": Bench(
        "task 1.1 with 1000 steps and ever more neurons",
        "pattern_generation",
        GROWING,
        tuple({"n_rec": n, "trial_ms": 1000} for n in (300, 600, 1200, 2400)),
        turns=5,
        label="n = {n_rec}",
    ),
    "store_recall_growth_batch": Bench(
        "task 1.2 with ever more trials in a batch",
        "store_recall",
        GROWING,
        tuple({**RECALL, "batch_size": batch} for batch in (8, 32, 128, 512)),
        turns=5,
        label="batch {batch_size}",
    ),
    "arm_reaching_growth_batch": Bench(
        "task 2.1 with ever more movements in a batch, up to the paper's 200; ours alone",
        "arm_reaching",
        (SPIKING, LINEAR),
        tuple({**ARM, "batch_size": batch} for batch in (8, 32, 200)),
        turns=3,
        label="batch {batch_size}",
        unit="movement",
    ),
    "copy_repeat_growth_batch": Bench(
        "task 3.1 with ever more sequences in a batch",
        "copy_repeat",
        (CELL, STOCK, JAX_WINDOW, JAX_E_PROP_3, BPTT_4, E_PROP_3),
        tuple({"units": 256, "batch_size": batch} for batch in (16, 64, 256)),
        turns=5,
        label="batch {batch_size}",
    ),
}
BENCHES = {**ITERATIONS, **GROWTH}
