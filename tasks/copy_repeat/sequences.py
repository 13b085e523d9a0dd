"""Sequences of task 3.1 and its curriculum.

With a pattern of 2 characters and 2 repetitions, 9 steps in all:

    step            0    1    2      3      4    5    6    7    8
    input 0-7       p0   p1   .      .      .    .    .    .    .     8 random bits
    input 8         .    .    stop   .      .    .    .    .    .
    input 0-8       .    .    .      count  .    .    .    .    .     one-hot: channel 1 for 2
    target          -    -    -      -      p0   p1   p0   p1   stop  no error where there is none
"""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.runs.seeds import generator

BITS = 8  # of a character
CHANNELS = BITS + 1
MOST_REPEATS = CHANNELS  # the largest number in a one-hot code over the channels


class Level(NamedTuple):
    """How difficult a sequence is: characters of the pattern, and how often it is to be repeated."""

    pattern: int = 1
    repeats: int = 1

    @property
    def length(self) -> int:
        """Steps of a sequence: pattern, stop, count, copies, stop."""
        return self.pattern * (self.repeats + 1) + 3

    @property
    def first_target_step(self) -> int:
        """The first step with a target."""
        return self.pattern + 2

    def harder(self) -> "Level":
        """The next level: a longer pattern, then one more repetition, in turns; repetitions end where the code does."""
        if self.pattern == self.repeats or self.repeats == MOST_REPEATS:
            return Level(self.pattern + 1, self.repeats)
        return Level(self.pattern, self.repeats + 1)


class Sequences(NamedTuple):
    """Inputs and targets [batch, step, channel], zeros and ones; targets count from `level.first_target_step` on."""

    inputs: Tensor
    target: Tensor
    level: Level


def sequences(level: Level, batch: int, seed: int, purpose: str, index: int) -> Sequences:
    """Batch number `index` for "training" or another purpose: a pure function of its arguments."""
    random = generator(seed, purpose, index)
    pattern = (torch.rand(batch, level.pattern, BITS, generator=random) < 0.5).float()
    inputs, target = torch.zeros(2, batch, level.length, CHANNELS)
    inputs[:, : level.pattern, :BITS] = pattern
    inputs[:, level.pattern, BITS] = 1
    inputs[:, level.pattern + 1, level.repeats - 1] = 1
    target[:, level.first_target_step : -1, :BITS] = pattern.repeat(1, level.repeats, 1)
    target[:, -1, BITS] = 1
    return Sequences(inputs, target, level)


class Curriculum:
    """The level of training, and the longest sequence that is solved."""

    def __init__(self, solved_bits: float) -> None:
        self.solved_bits = solved_bits
        self.level, self.solved = Level(), 0

    def report(self, bits: float) -> Level | None:
        """The error of a batch, in bits a sequence: below the threshold its level is solved, and returned."""
        if not bits < self.solved_bits:  # NaN solves nothing
            return None
        solved = self.level
        self.solved, self.level = solved.length, solved.harder()
        return solved

    def state_dict(self) -> dict[str, int]:
        """For a checkpoint."""
        return {"pattern": self.level.pattern, "repeats": self.level.repeats, "solved": self.solved}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a checkpoint."""
        self.level, self.solved = Level(state["pattern"], state["repeats"]), state["solved"]
