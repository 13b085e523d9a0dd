"""Windows of the sequences of task 3.1, as Lightning's batches."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.runs.loaders import SequenceLoader
from tasks.copy_repeat.config import CopyRepeatConfig
from tasks.copy_repeat.sequences import Curriculum, Sequences, sequences


class CopySegment(NamedTuple):
    """Some steps of a batch of sequences: inputs and targets [batch, step, channel], the first step that has a target
    (the number of steps if none has), and the input of the step after them [batch, channel], None at the end."""

    inputs: Tensor
    target: Tensor
    first_target_step: int
    next_input: Tensor | None


class CopyWindow(NamedTuple):
    """A window and the next one (None at the end of the sequences); whether it is the first or the last; and the length
    of its sequences in steps."""

    this: CopySegment
    following: CopySegment | None
    begins: bool
    ends: bool
    length: int


def in_windows(made: Sequences, steps: int) -> list[CopyWindow]:
    """The windows of a batch of sequences, of `steps` steps each (0: the whole); the last may be shorter."""
    length = made.level.length
    starts = range(0, length, steps or length)
    segments = [_segment(made, start, min(start + (steps or length), length)) for start in starts]
    following: list[CopySegment | None] = [*segments[1:], None]
    return [
        CopyWindow(segment, later, segment is segments[0], later is None, length)
        for segment, later in zip(segments, following, strict=True)
    ]


def _segment(made: Sequences, start: int, end: int) -> CopySegment:
    first_target_step = min(max(made.level.first_target_step - start, 0), end - start)
    next_input = made.inputs[:, end] if end < made.level.length else None
    return CopySegment(made.inputs[:, start:end], made.target[:, start:end], first_target_step, next_input)


class CopyRepeatData(pl.LightningDataModule):
    """New sequences in every iteration, of the curriculum's level, which is in every checkpoint."""

    def __init__(self, config: CopyRepeatConfig, seed: int) -> None:
        super().__init__()
        self.config, self.seed = config, seed
        self.curriculum = Curriculum(config.solved_bits)

    def train_dataloader(self) -> SequenceLoader:
        """One iteration after the other, window by window."""
        return SequenceLoader(self._iteration, self.config.iterations)

    def _iteration(self, index: int) -> Iterator[CopyWindow]:
        made = sequences(self.curriculum.level, self.config.batch_size, self.seed, "training", index)
        return iter(in_windows(made, self.config.truncation_steps))

    def state_dict(self) -> dict[str, Any]:
        """The curriculum's level."""
        return self.curriculum.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the level of a checkpoint."""
        self.curriculum.load_state_dict(state_dict)


def bits(readout: Tensor, target: Tensor, first_target_step: int) -> Tensor:
    """The errors of readouts [batch, step, channel] in bits, added up over channels, sequences, and the steps that have
    a target [batch, step, channel]."""
    y, wanted = readout[:, first_target_step:], target[:, first_target_step:].to(readout.dtype)
    return torch.nn.functional.binary_cross_entropy_with_logits(y, wanted, reduction="sum") / math.log(2)
