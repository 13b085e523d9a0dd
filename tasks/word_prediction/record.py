"""Perplexities of a run of task 3.2 after each epoch, and an example of its predictions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from repro.runs.observer import Arrays, EachIteration, Numbers, Observer
from repro.runs.recorder import Recorder
from tasks.word_prediction.config import WordPredictionConfig
from tasks.word_prediction.encoding import Corpus
from tasks.word_prediction.evaluation import log_probabilities, perplexity

EXAMPLE_FROM, EXAMPLE_WORDS = 1000, 25  # of the test text, for Fig. 4d; of a shorter one its end
SERIES = {"validation": "valid_perplexity", "test": "test_perplexity"}


def summary(series: Mapping[str, Any], config: WordPredictionConfig) -> Numbers:
    """Perplexity after the last epoch: "perplexity" is that of the test text (docs/paper_notes.md)."""
    last = {name: float(series[name][-1]) for name in SERIES.values()}
    return last | {"perplexity": last["test_perplexity"], "epochs": float(len(series["loss"]))}


def observers(config: WordPredictionConfig) -> list[Observer]:
    """The callbacks of a run."""
    return [Perplexity(), Example()]


class Perplexity(EachIteration):
    """Perplexity after an epoch: of the validation text in as many streams as are trained, of the test text in one."""

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """See `EachIteration.after_iteration`."""
        data, stack = trainer.datamodule, pl_module.as_stack()  # type: ignore[attr-defined]
        for split, name in SERIES.items():
            value = perplexity(pl_module.embedding, stack, data.evaluated[split].to(pl_module.device))
            recorder.add(name, value)
            pl_module.log(name, value)


class Example(Observer):
    """A stretch of the test text, and the probability of each word of it but the first."""

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """See `Observer.results`."""
        return {}, example(pl_module, trainer.datamodule.corpus)  # type: ignore[attr-defined]


def example(module: Any, corpus: Corpus) -> Arrays:
    """`example_words` [word], and `example_probability` [word - 1] of a network that reads the text from its start."""
    words = torch.from_numpy(corpus.splits["test"][None, : EXAMPLE_FROM + EXAMPLE_WORDS]).long()
    read = log_probabilities(module.embedding, module.as_stack(), words.to(module.device))[0].exp()
    shown = np.array([corpus.words[k] for k in words[0, -EXAMPLE_WORDS:]])
    return {
        "example_words": shown,
        "example_probability": read[1 - EXAMPLE_WORDS :].cpu().numpy().astype(np.float32),
    }
