"""Windows of a text that is read in streams, as Lightning's batches."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from repro.errors import UserError
from repro.runs.loaders import SequenceLoader
from tasks.word_prediction.config import WordPredictionConfig
from tasks.word_prediction.corpus import corpus
from tasks.word_prediction.data_location import data_version
from tasks.word_prediction.streams import streams, windows_per_epoch


class WordSegment(NamedTuple):
    """Some steps of all streams: words and the words after them, as numbers [batch, step]; the word after the last step
    [batch], None at the end of the text."""

    inputs: Tensor
    target: Tensor
    next_input: Tensor | None


class WordWindow(NamedTuple):
    """A window and the next one (None at the end of the text); whether it is the first or the last of its epoch; the
    epoch, from 0, and its number of steps."""

    this: WordSegment
    following: WordSegment | None
    begins: bool
    ends: bool
    epoch: int
    steps: int


class WordPredictionData(pl.LightningDataModule):
    """The training text once an epoch, from its beginning; `evaluated`, the streams [stream, word] of validation and
    test text: as many as are trained, and one.

    Raises UserError where the config names another text than the one that is here, and where that is too short for its
    streams or a window, or has too many different words.
    """

    def __init__(self, config: WordPredictionConfig, seed: int) -> None:
        super().__init__()
        self.config, self.corpus = config, corpus(config.corpus)
        if config.corpus_digest not in ("", data_version(config).get("corpus_digest")):
            raise UserError(
                f"corpus_digest={config.corpus_digest}: another text is here; leave the key out to train on it"
            )
        if len(self.corpus.words) > config.vocabulary:
            raise UserError(f"vocabulary={config.vocabulary}: the text has {len(self.corpus.words)} different words")
        self.streams = self._cut("training", config.training_words, config.batch_size)
        self.evaluated = {
            "validation": self._cut("validation", config.evaluated_words, config.batch_size),
            "test": self._cut("test", config.evaluated_words, 1),
        }
        self.windows = windows_per_epoch(self.streams.shape[1], config.truncation_steps)

    def _cut(self, split: str, words: int, count: int) -> Tensor:
        try:
            return torch.from_numpy(streams(self.corpus.splits[split][: words or None], count)).long()
        except UserError as error:
            raise UserError(f"the {split} text is too short: {error}") from None

    def state_dict(self) -> dict[str, Any]:
        """Which text it is."""
        return {"text": self.corpus.digest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises UserError when the run began with another text."""
        if state_dict["text"] != self.corpus.digest:
            raise UserError(
                f"this run began with another text (digest {state_dict['text']}, now {self.corpus.digest}): "
                "bring that one back, or train from the start in another folder (--out)"
            )

    def train_dataloader(self) -> SequenceLoader:
        """One epoch after the other, window by window; each of several processes reads its share of the streams."""
        return SequenceLoader(self._epoch, self.config.iterations)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """One batch: the streams [stream, word] of the validation text."""
        return DataLoader([self.evaluated["validation"]], batch_size=None)  # type: ignore[arg-type]

    def test_dataloader(self) -> DataLoader[Tensor]:
        """One batch: the test text as one stream [1, word]."""
        return DataLoader([self.evaluated["test"]], batch_size=None)  # type: ignore[arg-type]

    def _epoch(self, epoch: int) -> Iterator[WordWindow]:
        text, steps, last = self._share(), self.config.truncation_steps, self.windows - 1
        for k in range(self.windows):
            this = _segment(text, k * steps, steps, k == last)
            following = None if k == last else _segment(text, (k + 1) * steps, steps, k + 1 == last)
            yield WordWindow(this, following, k == 0, k == last, epoch, self.windows * steps)

    def _share(self) -> Tensor:
        """This process's streams [stream, word]. Raises UserError where processes cannot share them evenly."""
        trainer, size = self.trainer, self.config.batch_size
        if trainer is None or trainer.world_size == 1:
            return self.streams
        if size % trainer.world_size:
            raise UserError(f"batch_size={size}: {trainer.world_size} processes cannot share so many streams evenly")
        return self.streams.chunk(trainer.world_size)[trainer.global_rank]


def _segment(text: Tensor, start: int, steps: int, last: bool) -> WordSegment:
    end = start + steps
    return WordSegment(text[:, start:end], text[:, start + 1 : end + 1], None if last else text[:, end])
