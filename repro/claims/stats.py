"""The three pieces of statistics that verdicts on claims rest on. numpy alone."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 10_000
EXACT_UP_TO = 16  # pairs; beyond, sign flips are drawn at random


def bootstrap_interval(values: ArrayLike, statistic: str = "mean") -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean (or "median") of `values` [seed].

    The resampling is seeded, so that the same records always give the same interval. Fewer than two values have no
    spread to resample: (nan, nan).
    """
    sample = np.asarray(values, dtype=float)
    if sample.size < 2:
        return math.nan, math.nan
    drawn = sample[np.random.default_rng(0).integers(sample.size, size=(RESAMPLES, sample.size))]
    sums = np.median(drawn, axis=1) if statistic == "median" else drawn.mean(axis=1)
    low, high = np.quantile(sums, [0.025, 0.975])
    return float(low), float(high)


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
