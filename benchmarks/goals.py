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
    it is to take at most `times` as long. `words` name the rivals."""

    bench: str
    who: str
    rivals: tuple[str, ...]
    words: str
    times: float
    at_most: bool = False

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
        ours, theirs = (f"{1000 * value:.3g} ms" for value in self.seconds)
        return (
            f"{self.goal.bench}: {self.goal.who} took {ours} and {self.rival} {theirs}, a ratio of "
            f"{self.ratio.value:.2f}; the goal is {self.goal.text}."
        )


GOALS = (
    Goal("pattern_generation", FACTORED, JAX_PEERS, "the best JAX", 8),
    Goal("pattern_generation", ONLINE, EAGER_TORCH, "eager torch", 1),
    Goal("store_recall", FACTORED, JAX_PEERS, "the best JAX", 4.3),
    Goal("store_recall", ONLINE, EAGER_TORCH, "eager torch", 1),
    Goal("copy_repeat", BPTT_4, WINDOW_PEERS, "the best peer", 1),
    Goal("copy_repeat", E_PROP_3, (*WINDOW_PEERS, CELL, BPTT_4), "the best truncated BPTT", 3.6, at_most=True),
    Goal("word_prediction", BPTT_4, WINDOW_PEERS, "the best peer", 1),
    Goal("word_prediction", E_PROP_3, (*WINDOW_PEERS, CELL, BPTT_4), "the best truncated BPTT", 2.3, at_most=True),
    Goal("arm_reaching", SPIKING, (UNROLLED,), "unrolled autograd", 32),
    Goal("speech", BPTT, (EAGER,), "eager BPTT", 8),
    Goal("speech", FACTORED, EAGER_TORCH, "eager torch", 13),
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
