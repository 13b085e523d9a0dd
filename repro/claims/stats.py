"""Intervals and tests over seeds, on which verdicts rest. numpy; scipy's bootstrap and distributions."""

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 9999
BOOTSTRAP_FROM = 20  # seeds; of fewer, bootstrap intervals are too short (3: 72 % coverage, 10: 89 %)
EXACT_UP_TO = 16  # pairs; beyond, sign flips are drawn at random
LEVEL = 0.95
NONE = (math.nan, math.nan)

Interval = tuple[float, float]


def interval_of_mean(values: ArrayLike) -> Interval:
    """The 95 % interval of the mean of `values` [seed]: from 20 seeds on the bias-corrected and accelerated bootstrap,
    with fewer Student's t.

    The resampling is seeded, so that the same records always give the same interval. Fewer than two values have no
    spread: (nan, nan).
    """
    sample = np.asarray(values, dtype=float)
    if sample.size < BOOTSTRAP_FROM:
        return _student(float(sample.mean()), sample) if sample.size > 1 else NONE
    return _bootstrap((sample,), np.mean)


def interval_of_difference(left: ArrayLike, right: ArrayLike) -> Interval:
    """The 95 % interval of the mean difference right - left over pairs [seed]; see `interval_of_mean`."""
    return interval_of_mean(np.asarray(right, dtype=float) - np.asarray(left, dtype=float))


def interval_of_ratio(left: ArrayLike, right: ArrayLike) -> Interval:
    """The 95 % interval of mean(right) / mean(left) over pairs [seed], of positive values.

    From 20 seeds on the paired bootstrap; with fewer Student's t of the residuals right - ratio * left, the ratio's
    standard error to first order.
    """
    a, b = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    if a.size < 2:
        return NONE
    if a.size >= BOOTSTRAP_FROM:
        return _bootstrap((a, b), _ratio)
    ratio = float(b.mean() / a.mean())
    return _student(ratio, ratio + (b - ratio * a) / a.mean())


def interval_of_share(count: int, of: int) -> Interval:
    """The exact 95 % interval (Clopper and Pearson) of a probability, when `count` of `of` runs meet a condition."""
    from scipy.stats import binomtest

    low, high = binomtest(count, of).proportion_ci(LEVEL, method="exact")
    return float(low), float(high)


def _ratio(left: np.ndarray, right: np.ndarray, axis: int = -1) -> Any:
    return right.mean(axis=axis) / left.mean(axis=axis)


def student_half_width(values: np.ndarray) -> Any:
    """Half of Student's 95 % interval of the mean over the first axis of values [seed, ...], at least two seeds."""
    from scipy.special import stdtrit

    n = len(values)
    return stdtrit(n - 1, (1 + LEVEL) / 2) * values.std(axis=0, ddof=1) / math.sqrt(n)


def _student(centre: float, sample: np.ndarray) -> Interval:
    half = float(student_half_width(sample))
    return centre - half, centre + half


def _bootstrap(samples: tuple[np.ndarray, ...], statistic: Callable[..., Any]) -> Interval:
    from scipy.stats import bootstrap

    value = float(statistic(*samples, axis=-1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # equal values have no spread to resample: nan, replaced below
        made = bootstrap(
            samples, statistic, n_resamples=RESAMPLES, confidence_level=LEVEL, method="BCa",
            paired=len(samples) > 1, vectorized=True, rng=np.random.default_rng(0),
        )  # fmt: skip
    low, high = float(made.confidence_interval.low), float(made.confidence_interval.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (value, value)


def sign_flip_test(differences: ArrayLike) -> float:
    """One-sided p of the paired permutation test that the mean of `differences` [seed] is above zero.

    Exact: the share of all 2^n sign patterns whose mean is at least the observed one (n up to 16; beyond, of 65,536
    seeded random patterns, the observed one included). Assumes no distribution. Its smallest p is 2^-n. No
    differences: 1.
    """
    d = np.asarray(differences, dtype=float)
    if d.size <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=d.size)))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(2**EXACT_UP_TO, d.size))
        signs[0] = 1.0
    slack = 1e-12 * np.abs(d).sum()  # patterns of equal mean may differ in the last bit
    return float(np.mean(signs @ d >= d.sum() - slack))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: p values that may each be held against 0.05, in the order given."""
    adjusted, running = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
