"""A text that is made up: each word is one of three that follow from the word before; and a network as small."""

from typing import Any

import numpy as np
import pytest

from tasks.word_prediction import data
from tasks.word_prediction.config import VARIANTS, WordPredictionConfig
from tasks.word_prediction.data import WordPredictionData
from tasks.word_prediction.encoding import Corpus, Tokens

TINY: dict[str, Any] = {"units": 6, "synthetic_hidden": 5, "batch_size": 4, "vocabulary": 12}
LENGTHS = {"training": 130, "validation": 70, "test": 50}


def tokens(length: int, words: int, seed: int) -> Tokens:
    """The text [token]."""
    chosen = np.random.default_rng(seed).integers(0, 3, length)
    text = np.zeros(length, dtype=np.int32)
    for k in range(1, length):
        text[k] = (3 * text[k - 1] + chosen[k] + 1) % words
    return text


def made_up(words: int = 12, seed: int = 0, **lengths: int) -> Corpus:
    """Three splits of such a text, of the lengths given or those in LENGTHS."""
    splits = {
        split: tokens(length, words, 3 * seed + k) for k, (split, length) in enumerate((LENGTHS | lengths).items())
    }
    return Corpus("made up", tuple(f"word{k}" for k in range(words)), splits)


def use(patch: pytest.MonkeyPatch, **options: Any) -> Corpus:
    """Every config reads this text."""
    made = made_up(**options)
    patch.setattr(data, "corpus", lambda kind: made)
    return made


def config(variant: str = "bptt_4", **values: Any) -> WordPredictionConfig:
    """A variant of the tiny network."""
    return WordPredictionConfig(**{**TINY, **VARIANTS[variant].settings, **values})


def data_of(**values: Any) -> WordPredictionData:
    """The data of the tiny network."""
    return WordPredictionData(config(**values), 0)
