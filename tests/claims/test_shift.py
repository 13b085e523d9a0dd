import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from repro.claims.shift import POWER, Shift, measure_shift

RNG = np.random.default_rng


def series(values, first=0):
    return pd.Series(values, index=range(first, first + len(values)), dtype=float)


def test_other_seeds_are_tested_with_a_pooled_variance():
    new, old = RNG(0).normal(0.3, 1, 4), RNG(1).normal(0, 1, 10)
    shift = measure_shift(series(new, 50), series(old))
    assert (shift.logs, shift.paired, shift.freedom) == (False, False, 12)
    assert shift.p == pytest.approx(stats.ttest_ind(new, old).pvalue, rel=1e-12)
    assert shift.p != pytest.approx(stats.ttest_ind(new, old, equal_var=False).pvalue, rel=1e-3)


def test_seven_shared_seeds_are_tested_in_pairs_and_six_are_not():
    old = RNG(1).normal(0, 1, 10)
    new = old + RNG(2).normal(0.2, 0.1, 10)
    pairs, few = (measure_shift(series(new[:n]), series(old)) for n in (7, 6))
    assert pairs.p == pytest.approx(stats.ttest_rel(new[:7], old[:7]).pvalue, rel=1e-9) and pairs.paired
    assert few.p == pytest.approx(stats.ttest_ind(new[:6], old).pvalue, rel=1e-9) and not few.paired
    assert not measure_shift(series(new[:7], first=4), series(old)).paired  # one of them is of a seed without a pair


def test_positive_values_are_compared_as_factors():
    old = np.exp(RNG(1).normal(0, 1, 10))
    shift = measure_shift(series(5 * old), series(old))
    assert shift.logs and math.exp(shift.distance) == pytest.approx(5)
    assert not measure_shift(series([-1.0, 2.0]), series(old)).logs


def test_one_seed_is_held_against_the_prediction_interval():
    old = RNG(1).normal(0, 1, 10)
    edge = old.mean() + stats.t.ppf(0.975, 9) * old.std(ddof=1) * math.sqrt(1 + 1 / 10)
    inside, outside = (measure_shift(series([edge + d], 50), series(old)).p for d in (-1e-6, 1e-6))
    assert outside < 0.05 < inside


def test_one_value_against_one_detects_nothing():
    shift = measure_shift(series([5.0]), series([1.0]))
    assert (shift.p, shift.detectable(0.05)) == (1.0, math.inf)


def test_without_spread_rounding_is_no_shift_and_more_is():
    old = series([-5.0] * 8)
    assert measure_shift(old * (1 + 1e-15), old).p > 0.5
    assert measure_shift(old * (1 + 1e-6), old).p < 1e-6


@pytest.mark.parametrize("level", [0.05, 0.05 / 36])
@pytest.mark.parametrize(("n_new", "n_old"), [(1, 10), (3, 10), (10, 10)])
def test_the_detectable_shift_is_found_in_80_percent_of_simulations(n_new, n_old, level):
    """scipy makes the test here, on samples whose spread, 1, is known."""
    error, freedom = math.sqrt(1 / n_new + 1 / n_old), n_new + n_old - 2
    shift = Shift(0.0, error, freedom, False, False).detectable(level)
    found = [simulated_power(distance, n_new, n_old, level) for distance in (shift, 0.6 * shift, 0.0)]
    assert found[0] == pytest.approx(POWER, abs=0.02)
    assert found[1] < 0.6 and found[2] == pytest.approx(level, abs=0.005)  # controls


def simulated_power(distance, n_new, n_old, level, repetitions=20_000):
    rng = RNG(4)
    new, old = rng.normal(distance, 1, (repetitions, n_new)), rng.normal(0, 1, (repetitions, n_old))
    freedom = n_new + n_old - 2
    squares = sum(((x - x.mean(1, keepdims=True)) ** 2).sum(1) for x in (new, old))
    t = (new.mean(1) - old.mean(1)) / np.sqrt(squares / freedom * (1 / n_new + 1 / n_old))
    return np.mean(2 * stats.t.sf(np.abs(t), freedom) < level)


def test_zeros_alone_have_not_moved():
    assert measure_shift(series([0.0, 0.0], 50), series([0.0, 0.0, 0.0])).p == 1.0
    assert measure_shift(series([1.0, 1.0], 50), series([0.0, 0.0, 0.0])).p < 1e-6  # control
