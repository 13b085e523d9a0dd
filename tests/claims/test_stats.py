import itertools

import numpy as np
import pytest

from repro.claims.stats import bootstrap_interval, holm, sign_flip_test


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    intervals = [bootstrap_interval(rng.normal(3.0, 1.0, 30)) for _ in range(100)]
    covered = sum(low <= 3.0 <= high for low, high in intervals)
    missed = sum(low <= 4.0 <= high for low, high in intervals)
    assert 86 <= covered <= 100
    assert missed == 0


def test_the_interval_is_repeatable_and_needs_two_values():
    sample = [1.0, 2.0, 4.0, 8.0]
    assert bootstrap_interval(sample) == bootstrap_interval(sample)
    assert bootstrap_interval(sample) != bootstrap_interval(sample, "median")
    assert np.isnan(bootstrap_interval([1.0])).all()
    assert bootstrap_interval([2.0, 3.0]) == (2.0, 3.0)


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
