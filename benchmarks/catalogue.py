"""Who is timed, in which sizes, and how often. No torch in here: the processes that measure import it."""

import dataclasses

EAGER, EAGER_E_PROP, JAX = "plain eager BPTT", "plain eager e-prop 1 (detached)", "JAX scan, e-prop 1 (jitted)"
FACTORED, BPTT, ONLINE = "ours: e-prop 1 (factored)", "ours: BPTT (fused)", "ours: e-prop 1 (online)"
IN_LIGHTNING = " under Lightning"
LIGHTNING = "ours: e-prop 1" + IN_LIGHTNING
SPIKING, LINEAR = "ours: spiking error module", "ours: linear error module"
CELL, STOCK = "truncated BPTT, eager", "truncated BPTT, torch.nn.LSTM"
PRINTED, IN_PLACE = "textbook e-prop 3, eager", "textbook e-prop 3, eager, in place"
BPTT_4, TRACES, E_PROP_3 = "ours: truncated BPTT", "ours: truncated BPTT + traces", "ours: e-prop 3"
WINDOWS = {BPTT_4: "bptt_4", TRACES: "bptt_4_traces", E_PROP_3: "e_prop_3"}  # variants of the tasks


@dataclasses.dataclass(frozen=True)
class Bench:
    """One benchmark; the first of `who` is what the others are compared with, and one in Lightning comes after the same
    without. `sizes` are values of the task's config (and `frames`, the length of utterances that are made up), `label`
    names them where there are several; `ratios` are pairs of contenders, `per_second` is what an iteration is called
    where these are counted, and `notes` are sentences for below the table."""

    about: str
    task: str
    who: tuple[str, ...]
    sizes: tuple[dict[str, int], ...]
    rounds: int
    label: str = ""
    ratios: tuple[tuple[str, str], ...] = ()
    per_second: str = ""
    notes: tuple[str, ...] = ()

    def name_of(self, who: str, size: dict[str, int]) -> str:
        """The contender's name, with the size where there are more than one."""
        return f"{who}, {self.label.format(**size)}" if self.label else who


# In this order: JAX's threads may end in the time of who follows, which a slow one feels least; and Lightning's share
# is a difference of neighbours.
ALL = (EAGER, EAGER_E_PROP, JAX, ONLINE, BPTT, FACTORED, LIGHTNING)
GROWING = (EAGER, ONLINE, BPTT, FACTORED)
BENCHES = {
    "pattern_generation": Bench(
        "one iteration of task 1.1 at the paper's size: 600 neurons, 1000 steps, one trial",
        "pattern_generation",
        ALL,
        ({"n_rec": 600, "trial_ms": 1000},),
        rounds=15,
    ),
    "pattern_generation_growth_T": Bench(
        "the same with 600 neurons and ever longer trials",
        "pattern_generation",
        GROWING,
        tuple({"n_rec": 600, "trial_ms": steps} for steps in (500, 1000, 2000, 4000)),
        rounds=5,
        label="T = {trial_ms}",
    ),
    "pattern_generation_growth_n": Bench(
        "the same with 1000 steps and ever more neurons",
        "pattern_generation",
        GROWING,
        tuple({"n_rec": n, "trial_ms": 1000} for n in (300, 600, 1200, 2400)),
        rounds=5,
        label="n = {n_rec}",
    ),
    "store_recall": Bench(
        "one iteration of task 1.2 at the paper's size: 10 LIF and 10 ALIF neurons, 100 inputs, 2400 steps, 128 trials",
        "store_recall",
        ALL,
        ({"n_lif": 10, "n_alif": 10, "trial_ms": 2400, "batch_size": 128},),
        rounds=7,
        notes=(
            "The batch stays the same and no iteration validates: what it takes to draw trials is timed for nobody. "
            "Ours is given input spikes as events, the others as an array made once.",
        ),
    ),
    "speech": Bench(
        "one iteration of task 1.3 at the paper's size: 300 LIF and 100 ALIF neurons a direction, 32 utterances of 3 s",
        "speech",
        (EAGER, BPTT, FACTORED),
        ({"n_lif": 300, "n_alif": 100, "batch_size": 32, "frames": 300},),
        rounds=3,
        notes=(
            "The speech is made up: noise in each of 300 frames, held for 5 steps of 1 ms. Weights are as drawn, and "
            "Adam's steps have no length, so that all contenders have the same spikes to process in every turn.",
            "Utterances of unequal length would be padded to the longest, and padding is simulated like speech.",
        ),
    ),
    "arm_reaching": Bench(
        "one outer iteration of task 2.1 at the paper's size: 400 LIF neurons, 300 in the error module, 500 steps, "
        "32 movements",
        "arm_reaching",
        (EAGER, SPIKING, LINEAR),
        ({"n_rec": 400, "n_module": 300, "trial_ms": 500, "batch_size": 32},),
        rounds=3,
        notes=(
            "BPTT goes through both trials, the error module and the update between them; plain eager BPTT has the "
            "spiking error module, and is what the linear one is compared with too.",
            "Weights are those after 30 iterations, which bring the networks from 70 Hz near the rates that they have "
            "from then on; Adam's steps have no length, so that all contenders have the same spikes in every "
            "turn.",
            "Plain eager BPTT adds a step's outer products in place, and multiplies each task's own weights in the "
            "fastest of the ways that were tried. A new array for the sum in each step would flatter us: with 8 "
            "movements it took 1.7 times as long and 2.4 GB more.",
        ),
    ),
    "copy_repeat": Bench(
        "one window of task 3.1 at the paper's size: 256 LSTM units, 4 steps, 256 sequences",
        "copy_repeat",
        (CELL, STOCK, PRINTED, IN_PLACE, BPTT_4, TRACES, E_PROP_3, E_PROP_3 + IN_LIGHTNING),
        ({"units": 256, "batch_size": 256},),
        rounds=5,
        ratios=((E_PROP_3, CELL), (PRINTED, E_PROP_3), (IN_PLACE, E_PROP_3)),
        notes=(
            "The same window comes again and again, in the midst of a sequence; Adam's steps have no length.",
            "Units are h = o c as printed, but in torch.nn.LSTM, which has h = o tanh(c). The textbook's e-prop 3 "
            "makes a new array of eligibility vectors in each step; in place it has one, in the order that is fastest.",
        ),
    ),
    "word_prediction": Bench(
        "one window of task 3.2 at the paper's size: 10,000 words, 200 LSTM units, 4 steps, 20 streams of text",
        "word_prediction",
        (STOCK, BPTT_4, E_PROP_3, E_PROP_3 + IN_LIGHTNING),
        ({"vocabulary": 10_000, "units": 200, "batch_size": 20},),
        rounds=15,
        per_second="window",
        notes=(
            "All: embedding, LSTM, softmax, clipping and gradient descent, whose steps have no length. The words are "
            "drawn at random.",
        ),
    ),
}
