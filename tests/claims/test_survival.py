"""Censored times: medians, intervals and tests on made-up data of known answer."""

import math
import warnings

import numpy as np
import pytest

from repro.claims.survival import interval_of_median, log_rank, median


def censored(times, marks):
    return np.array(times, dtype=float), np.array(marks, dtype=bool)


@pytest.mark.parametrize("times", [[3, 1, 2], [4, 1, 3, 2], [7], [5, 5, 9, 9], [1, 2, 2, 3]])
def test_without_censoring_it_is_the_ordinary_median(times):
    assert median(*censored(times, [0] * len(times))) == np.median(times)


def test_the_median_by_hand():
    """Kaplan and Meier: one of 6 had the event at 2 (5/6 are left), one left at 3, one of 4 had it at 5 (5/8), one of 3
    at 8 (5/12). Had the one that left had it, exactly half were left at 5, and fewer from 8 on."""
    assert median(*censored([2, 3, 5, 8, 9, 9], [0, 1, 0, 0, 1, 1])) == 8
    assert median(*censored([2, 3, 5, 8, 9, 9], [0, 0, 0, 0, 1, 1])) == 6.5


def test_where_half_never_get_there_the_median_is_not_known():
    assert median(*censored([2, 3, 9, 9], [0, 0, 1, 1])) == math.inf
    assert median(*censored([2, 3, 9, 9, 9], [0, 0, 1, 1, 1])) == math.inf
    assert median(*censored([2, 3, 4, 9, 9], [0, 0, 0, 1, 1])) == 4


def test_a_lost_run_stays_among_those_at_risk():
    times, marks = censored([10, 20, 30, 40, 50, math.inf, math.inf], [0, 0, 0, 0, 0, 1, 1])
    assert median(times, marks) == 40
    assert median(*censored([10, 20, 30, 40, 50, 5, 5], [0, 0, 0, 0, 0, 1, 1])) == 30  # control: lost to follow-up
    low, high = interval_of_median(times, marks)
    assert low == 10 or low == 20
    assert high == math.inf


@pytest.mark.parametrize(
    ("times", "never", "first"),
    [
        ([30] * 12, 12, 30),  # the median is anywhere beyond 30
        ([20] + [30] * 11, 11, 30),  # at 20 11/12 are left, and (11/12)^exp(1.96 * 1.0004) = 0.54
        ([10] * 9 + [30] * 3, 3, 10),  # at 10 a fourth is left
        ([10] + [20] * 5 + [30] * 6, 0, 20),
        ([30] + [math.inf] * 11, 12, math.inf),  # of lost runs all is known: at best 11/12 are left
        ([30] * 5 + [math.inf] * 7, 12, 30),  # 7/12, whose lower end is 0.27
        ([math.inf] * 6, 6, math.inf),
    ],
)
def test_the_interval_begins_no_later_than_the_last_run_was_given_up(times, never, first):
    marks = [0] * (len(times) - never) + [1] * never
    assert interval_of_median(*censored(times, marks))[0] == first


def test_fewer_than_six_runs_have_no_interval_of_the_median():
    """From the first to the last of five it covers the median in 1 - 2 / 2^5 = 94 % of studies, of three in 75 %."""
    for n in (1, 3, 5):
        assert np.isnan(interval_of_median(*censored(range(n), [0] * n))).all()
    assert interval_of_median(*censored(range(6), [0] * 6)) == (0, math.inf)


def test_one_run_that_gets_there_last_is_no_upper_end():
    """At 1500 one run is at risk: the curve comes to 0, and R's `survfit` too has no limit there."""
    assert interval_of_median(*censored([30] * 9 + [1500], [1] * 9 + [0])) == (1500, math.inf)


@pytest.mark.parametrize("given_up", [math.inf, 80.0])
@pytest.mark.parametrize("n", [7, 10, 40])
def test_the_interval_covers_the_median_about_as_often_as_it_says(n, given_up):
    """Log-normal times with a median of 50; 80 is a time that a fourth of the runs has not got to."""
    rng, inside, control = np.random.default_rng(4), [], []
    for _ in range(300):
        times = 50 * np.exp(0.8 * rng.standard_normal(n))
        low, high = interval_of_median(np.minimum(times, given_up), times > given_up)
        inside.append(low <= 50 <= high)
        control.append(low <= 10 <= high)
    assert 0.9 <= np.mean(inside) <= 0.985
    assert np.mean(control) < 0.5


def test_the_log_rank_test_keeps_its_level_and_sees_a_difference():
    rng, null, shifted = np.random.default_rng(6), [], []
    for _ in range(300):
        a, b, c = (scale * rng.exponential(size=20) for scale in (1.0, 1.0, 4.0))
        null.append(log_rank(np.minimum(a, 2), a > 2, np.minimum(b, 2), b > 2))
        shifted.append(log_rank(np.minimum(a, 2), a > 2, np.minimum(c, 2), c > 2))
    assert 0.02 <= np.mean(np.array(null) < 0.05) <= 0.09
    assert np.mean(np.array(shifted) < 0.05) > 0.9


def test_runs_that_never_get_there_on_either_side_do_not_differ():
    times, marks = censored([500] * 8, [1] * 8)
    assert log_rank(times, marks, times, marks) == 1
    assert log_rank(times, marks, np.full(8, 40.0), ~marks) < 0.01  # control


def test_there_is_no_log_rank_test_where_no_event_decides():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        early, late = censored([5, 5, 5], [1, 1, 1]), censored([10, 20, 30], [0, 0, 0])
        assert math.isnan(log_rank(*early, *late)) and math.isnan(log_rank(*late, *early))
        at_once = censored([5, 5], [0, 0])
        assert math.isnan(log_rank(*at_once, *at_once))
    # by hand: at 10 one of four has it, where half were expected, with a variance of 1/4; later one group is left
    assert log_rank(*censored([15, 15], [1, 1]), *censored([10, 20], [0, 0])) == pytest.approx(math.erfc(0.5**0.5))
