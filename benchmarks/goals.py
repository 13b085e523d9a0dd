"""What is to be reached, as ratios of contenders of the same run: a machine that is busy is so for all of them."""

import dataclasses
from collections.abc import Sequence

from benchmarks import statistics
from benchmarks.measure import Measured, Turns, best
from benchmarks.names import (
    BPTT,
    BPTT_4,
    CELL,
    E_PROP_3,
    EAGER,
    EAGER_E_PROP,
    FACTORED,
    JAX_FACTORED,
    JAX_WINDOW,
    ONLINE,
    SCAN,
    SPIKING,
    STOCK,
    UNROLLED,
)
from benchmarks.statistics import Estimate

WINDOW_PEERS = (STOCK, JAX_WINDOW)
JAX_PEERS = (JAX_FACTORED, SCAN)
EAGER_TORCH = (EAGER, EAGER_E_PROP)


@dataclasses.dataclass(frozen=True)
class Goal:
    """In `bench`, the contender `who` is to be at least `times` as fast as the fastest of `rivals`; or, with `at_most`,
    it is to take at most `times` as long. `words` name the rivals; `because` is what stands in the way, where a profile
    has shown that."""

    bench: str
    who: str
    rivals: tuple[str, ...]
    words: str
    times: float
    at_most: bool = False
    because: str = ""

    @property
    def text(self) -> str:
        """The goal in words."""
        if self.at_most:
            return f"at most {self.times:g} times the time of {self.words}"
        return f"at least {self.times:g} times as fast as {self.words}"


@dataclasses.dataclass(frozen=True)
class Result:
    """A goal, the ratio that was measured, between whom, and whether that reaches it."""

    goal: Goal
    rival: str
    ratio: Estimate
    met: bool
    seconds: tuple[float, float]

    @property
    def sentence(self) -> str:
        """What a miss comes to."""
        ours, theirs = (f"{1000 * value:.3g} ms" if value < 1 else f"{value:.1f} s" for value in self.seconds)
        return (
            f"{self.goal.bench}: {self.goal.who} took {ours} and {self.rival} {theirs}, a ratio of "
            f"{self.ratio.value:.2f}; the goal is {self.goal.text}.{f' {self.goal.because}' * bool(self.goal.because)}"
        )


ONE_TRIAL = (
    "Less than half is kernels: one pass over the neurons a step, one row of weights a spike. A tenth transposes "
    "w_rec and its gradient, since weights stay [post, pre] (decision 10). The rest is Adam and many small "
    "operations of torch."
)
A_WINDOW = (
    "Two thirds are matrix products, which JAX makes as fast. The rest is autograd, and passes over arrays that "
    "do not fit the cache."
)
BACK_THROUGH_TIME = (
    "Two thirds of the way back are the product of deltas and w_rec. It is made where h is not zero, which is "
    "every second place; a library's whole product takes as long."
)
MANY_READOUTS = (
    "A third of the way back is the product of 61 errors with B. A quarter of the iteration are operations of "
    "torch: the loss, the order in time of the other direction, the gradient of w_in."
)

GOALS = (
    Goal("pattern_generation", FACTORED, JAX_PEERS, "the best JAX", 8, because=ONE_TRIAL),
    Goal("pattern_generation", ONLINE, EAGER_TORCH, "eager torch", 1),
    Goal("store_recall", FACTORED, JAX_PEERS, "the best JAX", 4.3),
    Goal("store_recall", ONLINE, EAGER_TORCH, "eager torch", 1),
    Goal("copy_repeat", BPTT_4, WINDOW_PEERS, "the best peer", 1, because=A_WINDOW),
    Goal("copy_repeat", E_PROP_3, (*WINDOW_PEERS, CELL, BPTT_4), "the best truncated BPTT", 3.6, at_most=True),
    Goal("word_prediction", BPTT_4, WINDOW_PEERS, "the best peer", 1, because=A_WINDOW),
    Goal("word_prediction", E_PROP_3, (*WINDOW_PEERS, CELL, BPTT_4), "the best truncated BPTT", 2.3, True, A_WINDOW),
    Goal("arm_reaching", SPIKING, (UNROLLED,), "unrolled autograd", 32),
    Goal("speech", BPTT, (EAGER,), "eager BPTT", 8, because=BACK_THROUGH_TIME),
    Goal("speech", FACTORED, EAGER_TORCH, "eager torch", 13, because=MANY_READOUTS),
)


def judge(measured: Sequence[Measured]) -> list[Result]:
    """The results of all goals whose contenders were timed."""
    turns = {one.name: one.turns[0] for one in measured}
    results = [result_of(goal, turns[goal.bench]) for goal in GOALS if goal.bench in turns]
    return [result for result in results if result is not None]


def result_of(goal: Goal, turns: Turns) -> Result | None:
    """The result of a goal; None where none of its rivals was timed."""
    rival = best(turns, goal.rivals)
    if rival is None or goal.who not in turns:
        return None
    ours, theirs = turns[goal.who], turns[rival]
    ratio = statistics.ratio(ours, theirs) if goal.at_most else statistics.ratio(theirs, ours)
    met = ratio.value <= goal.times if goal.at_most else ratio.value >= goal.times
    seconds = statistics.median(ours).value, statistics.median(theirs).value
    return Result(goal, rival, ratio, met, seconds)
