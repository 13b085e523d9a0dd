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


class Piece(NamedTuple):
    """Some steps of a batch of sequences: inputs and targets [batch, step, channel], the first step that has a target
    (the number of steps if none has), and the input of the step after them [batch, channel], None at the end."""

    inputs: Tensor
    target: Tensor
    asked_from: int
    beyond: Tensor | None


class WindowBatch(NamedTuple):
    """A window and the next one (None at the end of the sequences); whether it is the first or the last; and the length
    of its sequences in steps."""

    this: Piece
    following: Piece | None
    begins: bool
    ends: bool
    length: int


def in_windows(made: Sequences, steps: int) -> list[WindowBatch]:
    """The windows of a batch of sequences, of `steps` steps each (0: the whole); the last may be shorter."""
    length = made.level.length
    starts = range(0, length, steps or length)
    pieces = [_piece(made, start, min(start + (steps or length), length)) for start in starts]
    following: list[Piece | None] = [*pieces[1:], None]
    return [
        WindowBatch(piece, later, piece is pieces[0], later is None, length)
        for piece, later in zip(pieces, following, strict=True)
    ]


def _piece(made: Sequences, start: int, end: int) -> Piece:
    asked_from = min(max(made.level.asked_from - start, 0), end - start)
    beyond = made.inputs[:, end] if end < made.level.length else None
    return Piece(made.inputs[:, start:end], made.target[:, start:end], asked_from, beyond)


class CopyRepeatData(pl.LightningDataModule):
    """Fresh sequences in every iteration, as hard as the curriculum has got; both are in every checkpoint."""

    def __init__(self, config: CopyRepeatConfig, seed: int) -> None:
        super().__init__()
        self.config, self.seed = config, seed
        self.curriculum = Curriculum(config.solved_bits)

    def train_dataloader(self) -> SequenceLoader:
        """One iteration after the other, window by window."""
        return SequenceLoader(self._iteration, self.config.iterations)

    def _iteration(self, index: int) -> Iterator[WindowBatch]:
        made = sequences(self.curriculum.level, self.config.batch_size, self.seed, "training", index)
        return iter(in_windows(made, self.config.truncation_steps))

    def state_dict(self) -> dict[str, Any]:
        """Where the curriculum is."""
        return self.curriculum.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on there."""
        self.curriculum.load_state_dict(state_dict)


def bits(readout: Tensor, piece: Piece) -> Tensor:
    """The errors of a window, in bits, added up over channels, the steps that have a target, and sequences."""
    asked, target = readout[:, piece.asked_from :], piece.target[:, piece.asked_from :].to(readout.dtype)
    nats = torch.nn.functional.binary_cross_entropy_with_logits(asked, target, reduction="sum")
    return nats / math.log(2)
