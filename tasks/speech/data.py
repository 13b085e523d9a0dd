"""Batches of utterances of task 1.3: frames, phones and lengths, padded at the end."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.eprop.kernels.events import Held
from repro.errors import UserError
from repro.runs.loaders import EvaluationLoader, IndexedLoader
from repro.runs.seeds import generator
from tasks.speech.config import SpeechConfig
from tasks.speech.corpus import Corpus
from tasks.speech.features import Features, prepared
from tasks.speech.source import timit_dir

PADDING = -1  # a label that is none


class SpeechBatch(NamedTuple):
    """Utterances: features held for some steps each, the phone of each frame [batch, frame] (-1 in the padding), the
    real `lengths` [batch] in steps."""

    inputs: Held
    labels: Tensor
    lengths: Tensor


def corpus(config: SpeechConfig) -> Corpus:
    """The speech that the config names. Raises UserError when it is not there or not as it should be."""
    if config.corpus == "stand_in":
        from tasks.speech.stand_in import stand_in

        return stand_in(config.train_utterances, config.validation_utterances, config.test_utterances)
    from tasks.speech.timit import timit

    root = timit_dir()
    if root is None:
        raise UserError(
            "corpus=timit, but no folder is given: set TIMIT_DIR to that of TIMIT, or run `repro data timit DIR` once"
        )
    return timit(root)


def batch_of(split: Features, chosen: Sequence[int], frame_steps: int) -> SpeechBatch:
    """The utterances at the indices `chosen`."""
    frames, labels = [split.frames[i] for i in chosen], [split.labels[i] for i in chosen]
    pad = torch.nn.utils.rnn.pad_sequence
    lengths = torch.tensor([len(x) for x in labels]) * frame_steps
    return SpeechBatch(
        Held(pad(frames, batch_first=True), frame_steps),
        pad(labels, batch_first=True, padding_value=PADDING),
        lengths,
    )


@functools.lru_cache(maxsize=2)  # a batch may span two epochs
def order(seed: int, utterances: int, epoch: int) -> Tensor:
    """The order of the training utterances in an epoch."""
    return torch.randperm(utterances, generator=generator(seed, "training", epoch))


class SpeechData(pl.LightningDataModule):
    """Every epoch goes through all utterances in a new order; a batch may span two epochs.

    Raises UserError when there is no such speech.
    """

    def __init__(self, config: SpeechConfig, seed: int) -> None:
        super().__init__()
        self.config, self.seed = config, seed
        sizes = {name: getattr(config, f"{name}_utterances") for name in ("train", "validation", "test")}
        self.splits = prepared(corpus(config), config.scaling, sizes)

    def state_dict(self) -> dict[str, Any]:
        """Which utterances these are, by their phones."""
        labels = (label for name in sorted(self.splits) for label in self.splits[name].labels)
        return {"speech": hashlib.sha256(b"".join(label.numpy().tobytes() for label in labels)).hexdigest()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises UserError when the run began with other speech."""
        if state_dict != self.state_dict():
            raise UserError(
                "this run began with other utterances: bring those back (TIMIT_DIR), or train from the start in "
                "another folder (--out)"
            )

    def training_batch(self, index: int) -> SpeechBatch:
        """Training batch number `index`: a pure function of the seed and it."""
        size, utterances = self.config.batch_size, len(self.splits["train"].labels)
        places = range(index * size, (index + 1) * size)
        chosen = [int(order(self.seed, utterances, place // utterances)[place % utterances]) for place in places]
        return batch_of(self.splits["train"], chosen, self.config.frame_steps)

    def evaluation_batches(self, split: str) -> Iterator[SpeechBatch]:
        """All utterances of a split, those of similar length together: little padding."""
        part = self.splits[split]
        order = sorted(range(len(part.labels)), key=lambda i: len(part.labels[i]))
        for start in range(0, len(order), self.config.batch_size):
            yield batch_of(part, order[start : start + self.config.batch_size], self.config.frame_steps)

    def train_dataloader(self) -> IndexedLoader:
        """One batch an iteration."""
        return IndexedLoader(self.training_batch, self.config.iterations)

    def val_dataloader(self) -> EvaluationLoader:
        """All validation utterances."""
        return self._whole("validation")

    def test_dataloader(self) -> EvaluationLoader:
        """All test utterances."""
        return self._whole("test")

    def predict_dataloader(self) -> EvaluationLoader:
        """All test utterances."""
        return self._whole("test")

    def _whole(self, split: str) -> EvaluationLoader:
        batches = list(self.evaluation_batches(split))
        return EvaluationLoader(batches.__getitem__, len(batches))
