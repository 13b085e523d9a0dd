"""Medians of turns, and how sure they are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLED, COVERED = 2000, 0.95


class Estimate(NamedTuple):
    """A median or a ratio of medians, and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def median(seconds: Sequence[float]) -> Estimate:
    """The median of turns."""
    return _interval(np.median(seconds), np.median(_resampled(seconds), axis=1))


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Estimate:
    """How many times the median of `fast` goes into that of `slow`. Turns are resampled in pairs: contenders that were
    timed in the same turn shared what else the machine did."""
    medians = (np.median(_resampled(series), axis=1) for series in (slow, fast))
    return _interval(np.median(slow) / np.median(fast), np.divide(*medians))


def _resampled(seconds: Sequence[float]) -> np.ndarray:
    """[sample, turn]; the same turns for all series of one length."""
    random = np.random.default_rng(0)
    return np.asarray(seconds)[random.integers(len(seconds), size=(RESAMPLED, len(seconds)))]


def _interval(value: float, samples: np.ndarray) -> Estimate:
    low, high = np.quantile(samples, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return Estimate(float(value), float(low), float(high))
