"""Runs that did not reach the threshold of a metric: their values are lower bounds."""

import math

import pandas as pd

from repro.claims.table import format_table
from tests.claims.synthetic import around, judged, records

ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'
ALIKE = 'kind = "similar"; variant = "b"; metric = "mse"; tolerance = "mse"; relations = ["a ~ b"]'
COUNT = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 50; tolerance = "count"'
MEDIAN = COUNT + '; statistic = "median"'


def bounded(values: dict[str, list[float]], bounds: dict[str, set[int]]) -> pd.DataFrame:
    """Records in which the values of some seeds are only lower bounds."""
    frame = records(values)
    marks = [
        float(seed in bounds.get(variant, ())) for variant, seed in zip(frame["variant"], frame["seed"], strict=True)
    ]
    return frame.assign(mse_at_least=marks)


def test_a_lower_bound_reproduces_no_value(tmp_path):
    values = {"a": [50.0] * 6}
    (never,) = judged(tmp_path, bounded(values, {"a": set(range(6))}), COUNT)
    (control,) = judged(tmp_path, bounded(values, {}), COUNT)
    assert (never.verdict, control.verdict) == ("inconclusive", "reproduced")
    assert never.bound and not control.bound and math.isnan(never.low)
    assert "mean at least 50 over 6 seeds: not settled against 25 to 75" in never.reason
    (beyond,) = judged(tmp_path, bounded({"a": [80.0] * 6}, {"a": {0}}), COUNT)
    assert beyond.verdict == "not reproduced"  # the truth is larger still
    (median,) = judged(tmp_path, bounded(values, {"a": set(range(6))}), MEDIAN)
    assert median.verdict == "inconclusive" and "no median (95 % interval 50 and above)" in median.reason
    assert "6 of 6 runs of a did not reach it: 50 is a lower bound" in never.reason
    assert "did not reach it" not in control.reason
    assert ">= 50" in format_table([never]) and ">= " not in format_table([control])


def test_a_median_stands_when_the_truth_of_a_few_runs_cannot_move_it_out_of_the_tolerance(tmp_path):
    values = {"a": [45.0, 50.0, 55.0, 52.0, 48.0, 51.0, 49.0, 53.0, 54.0, 2000.0]}
    mean, few = judged(tmp_path, bounded(values, {"a": {9}}), COUNT, MEDIAN)
    assert few.verdict == "reproduced" and not few.bound and "median 51.5 (95 % interval 45 to 54)" in few.reason
    assert mean.verdict == "not reproduced" and mean.bound and "mean at least 246 over 10 seeds" in mean.reason
    (half,) = judged(tmp_path, bounded({"a": [45.0, 50.0, 60.0, 60.0]}, {"a": {2, 3}}), MEDIAN)
    assert half.verdict != "reproduced"  # though the median of the bounds would be 55
    three = {"a": [45.0, 50.0, 55.0, 52.0, 48.0, 51.0, 49.0, 90.0, 90.0, 90.0]}
    (wide,) = judged(tmp_path, bounded(three, {"a": {7, 8, 9}}), MEDIAN)
    assert wide.verdict == "inconclusive" and "overlaps an edge" in wide.reason


def test_a_median_beyond_where_all_runs_were_given_up_is_not_known(tmp_path):
    """25 to 75 is wanted: iterations after 30, or after 75, may not be known."""

    def verdict(times: list[float], lost: int = 0, until: float = 30.0) -> str:
        frame = records({"a": times + [0.0] * lost}, {"a": range(len(times), len(times) + lost)})
        return judged(tmp_path, frame.assign(mse_at_least=(frame["mse"] == until).astype(float)), MEDIAN)[0].verdict

    assert [verdict([30.0] * 12), verdict([20.0] + [30.0] * 11)] == ["inconclusive"] * 2
    assert verdict([80.0] * 12, until=80.0) == "not reproduced"  # it is beyond 75, wherever that is
    assert verdict([30.0] * 5, lost=7) == "inconclusive"
    assert verdict([30.0], lost=11) == "not reproduced"  # whatever becomes of one run in twelve


def test_an_interval_without_an_upper_end_is_printed_so(tmp_path):
    (half,) = judged(tmp_path, bounded({"a": [*range(40, 49), *[90.0] * 6]}, {"a": set(range(9, 15))}), MEDIAN)
    assert half.high == math.inf and half.low < 47
    text = f"{half.low:.0f} and above"
    assert f"95 % interval {text}" in half.reason and text in format_table([half])
    (never,) = judged(tmp_path, bounded({"a": [90.0] * 8}, {"a": set(range(8))}), MEDIAN)
    assert (
        "no median (95 % interval 90 and above) over 8 seeds" in never.reason
        and "inf" not in never.reason + format_table([never])
    )


def test_a_lower_bound_above_the_paper_s_own_bound_reaches_it(tmp_path):
    row = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.9; tolerance = "share"; at_least = true'
    above, below = (bounded({"a": [value] * 3}, {"a": {0, 1, 2}}) for value in (0.98, 0.5))
    assert [judged(tmp_path, frame, row)[0].verdict for frame in (above, below)] == ["reproduced", "inconclusive"]


def test_times_are_compared_up_to_where_the_first_run_was_given_up(tmp_path):
    values = {"a": [100.0] * 8, "b": [2000.0] * 8}
    (above,) = judged(tmp_path, bounded(values, {"b": set(range(8))}), ORDER)
    assert above.verdict == "reproduced" and "counted up to 2000" in above.reason
    assert "8 of 8 runs of b did not reach it: 2000 is a lower bound" in above.reason
    early = {"a": [100.0] * 8, "b": [300.0] * 7 + [90.0]}  # one run of b was given up at 90: nothing later counts
    (few,) = judged(tmp_path, bounded(early, {"b": {7}}), ORDER)
    assert few.verdict == "not reproduced" and "means 90 and 90" in few.reason
    assert judged(tmp_path, bounded(early, {}), ORDER)[0].verdict != "not reproduced"  # control: 90 is its time


def test_a_run_that_never_gets_there_does_not_spoil_an_order_that_others_show(tmp_path):
    """The first edition refused an order as soon as one run of the smaller side was a bound."""
    values = {"a": [*around(40, 11), 2000.0], "b": [*around(120, 11), 2000.0]}
    (both,) = judged(tmp_path, bounded(values, {"a": {11}, "b": {11}}), ORDER)
    assert both.verdict == "reproduced"
    (all_of_a,) = judged(tmp_path, bounded({"a": [2000.0] * 8, "b": [300.0] * 8}, {"a": set(range(8))}), ORDER)
    assert all_of_a.verdict == "not reproduced"
    (neither,) = judged(tmp_path, bounded({"a": [2000.0] * 8, "b": [2000.0] * 8}, {"a": set(range(8))}), ORDER)
    assert neither.verdict == "not reproduced"  # no difference up to there


def test_a_lower_bound_is_alike_to_nothing(tmp_path):
    values = {"a": [2000.0] * 6, "b": [2000.0] * 6}
    verdicts = [
        judged(tmp_path, bounded(values, {side: {0}} if side else {}), ALIKE)[0].verdict for side in ("", "a", "b")
    ]
    assert verdicts == ["reproduced", "inconclusive", "inconclusive"]
