import itertools

import numpy as np
import pytest

from repro.claims import stats
from repro.claims.stats import (
    holm,
    interval_of_difference,
    interval_of_mean,
    interval_of_ratio,
    interval_of_share,
    sign_flip_test,
)


def covered(interval, draw, truth, times=200, seed=5):
    """The share of intervals, of samples that `draw` makes, that contain the truth."""
    rng = np.random.default_rng(seed)
    bounds = [interval(draw(rng)) for _ in range(times)]
    return np.mean([low <= truth <= high for low, high in bounds])


@pytest.mark.parametrize("n", [3, 10, 40])
def test_the_interval_of_a_mean_covers_it_about_as_often_as_it_says(n):
    """95 % nominal; three standard errors of 200 samples are 4.6 %."""
    assert 0.904 <= covered(interval_of_mean, lambda rng: rng.normal(3.0, 1.0, n), 3.0) <= 0.995
    assert covered(interval_of_mean, lambda rng: rng.normal(3.0, 1.0, n), 3 + 20 / n) < 0.5  # control


def test_of_few_seeds_a_bootstrap_interval_would_be_too_short(monkeypatch):
    """Why Student's is taken: nothing that resamples three values leaves their range, which has the mean in 3 of 4."""
    student = covered(interval_of_mean, lambda rng: rng.normal(3.0, 1.0, 3), 3.0)
    monkeypatch.setattr(stats, "BOOTSTRAP_FROM", 3)
    assert covered(interval_of_mean, lambda rng: rng.normal(3.0, 1.0, 3), 3.0) < 0.85 < student


def test_a_skewed_sample_has_an_interval_that_leans_where_its_tail_is():
    """Bias-corrected: of a log-normal sample the upper half is longer than Student's symmetric one allows."""
    sample = np.exp(0.8 * np.random.default_rng(3).standard_normal(40))
    low, high = interval_of_mean(sample)
    assert high - sample.mean() > 1.2 * (sample.mean() - low)
    low, high = interval_of_mean(-sample)  # control: turned round
    assert high + sample.mean() < -sample.mean() - low
    assert 0.85 <= covered(interval_of_mean, lambda rng: np.exp(0.8 * rng.standard_normal(40)), np.exp(0.32)) <= 0.99


@pytest.mark.parametrize("n", [5, 30])
def test_intervals_of_changes_are_paired(n):
    """Left and right share what varies most; unpaired intervals would be ten times as wide."""

    def draw(rng):
        common = np.exp(rng.standard_normal(n))
        return common, 1.3 * common * np.exp(0.05 * rng.standard_normal(n))

    assert 0.86 <= covered(lambda both: interval_of_ratio(*both), draw, 1.3 * np.exp(0.00125)) <= 1
    low, high = interval_of_ratio(*draw(np.random.default_rng(0)))
    assert high - low < 0.3
    left, right = draw(np.random.default_rng(0))
    shuffled = interval_of_ratio(left, right[::-1])
    assert shuffled[1] - shuffled[0] > 3 * (high - low)  # control
    difference = interval_of_difference(left, left + 0.5 + 0.01 * np.arange(n))
    assert difference[0] < 0.5 + 0.01 * (n - 1) / 2 < difference[1] < 0.8


def test_the_interval_of_a_share_is_the_exact_one():
    """By hand: with none of n the upper end u has (1 - u)^n = 0.025."""
    for n in (10, 40):
        assert interval_of_share(0, n) == pytest.approx((0, 1 - 0.025 ** (1 / n)))
        assert interval_of_share(n, n) == pytest.approx((0.025 ** (1 / n), 1))
    rng = np.random.default_rng(2)
    drawn = [interval_of_share(int(rng.binomial(40, 0.1)), 40) for _ in range(400)]
    assert np.mean([low <= 0.1 <= high for low, high in drawn]) >= 0.94
    assert np.mean([low <= 0.4 <= high for low, high in drawn]) < 0.1  # control


def test_the_interval_is_repeatable_and_needs_two_values():
    sample = np.arange(24.0)
    assert interval_of_mean(sample) == interval_of_mean(sample)
    assert np.isnan(interval_of_mean([1.0])).all() and np.isnan(interval_of_ratio([1.0], [2.0])).all()
    assert interval_of_mean([2.0] * 24) == interval_of_mean([2.0] * 3) == (2.0, 2.0)
    assert interval_of_mean([2.0, 3.0]) == pytest.approx((2.5 - 12.706 * 0.5, 2.5 + 12.706 * 0.5), rel=1e-4)


def test_sign_flips_count_the_patterns():
    d = np.array([0.4, -0.1, 0.7, 0.2])
    means = [np.mean(np.multiply(signs, d)) for signs in itertools.product((1, -1), repeat=4)]
    assert sign_flip_test(d) == np.mean([mean >= d.mean() - 1e-15 for mean in means]) == 2 / 16
    assert sign_flip_test(-d) > 0.5
    assert sign_flip_test(np.abs(d)) == 1 / 16
    assert sign_flip_test(np.zeros(4)) == sign_flip_test([]) == 1.0


def test_equal_patterns_count_despite_rounding():
    assert sign_flip_test([0.1, 0.2, 0.3]) == sign_flip_test([1, 2, 3]) == 1 / 8
    assert sign_flip_test([0.1, 0.2, -0.3]) == sign_flip_test([1, 2, -3]) == 5 / 8


def test_sign_flips_keep_their_level_without_a_difference():
    rng = np.random.default_rng(1)
    p = np.array([sign_flip_test(rng.standard_t(2, size=8)) for _ in range(600)])
    assert np.mean(p < 0.05) < 0.08
    shifted = np.array([sign_flip_test(1.5 + rng.standard_normal(8)) for _ in range(100)])
    assert np.mean(shifted < 0.05) > 0.8


def test_many_pairs_are_sampled_and_agree_with_the_exact_count(monkeypatch):
    d = np.random.default_rng(2).normal(0.35, 1.0, 14)
    exact = sign_flip_test(d)
    monkeypatch.setattr("repro.claims.stats.EXACT_UP_TO", 13)
    assert sign_flip_test(d) == pytest.approx(exact, abs=0.02)
    assert sign_flip_test(np.ones(14)) > 0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.04, 0.001]) == pytest.approx([0.04, 0.002])  # Bonferroni would give 0.08
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
