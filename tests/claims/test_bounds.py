"""Runs that did not reach the threshold of a metric: their values are lower bounds."""

import math

import pandas as pd

from repro.claims.table import format_table
from tests.claims.synthetic import judged, records

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
    assert (never.verdict, control.verdict) == ("not reproduced", "reproduced")
    assert never.bound and not control.bound and math.isnan(never.low)
    assert "mean at least 50 over 6 seeds" in never.reason
    (median,) = judged(tmp_path, bounded(values, {"a": set(range(6))}), MEDIAN)
    assert median.verdict == "not reproduced" and "no median over 6 seeds" in median.reason
    assert "6 of 6 runs of a did not reach it: 50 is a lower bound" in never.reason
    assert "did not reach it" not in control.reason
    assert ">= 50" in format_table([never]) and ">= " not in format_table([control])


def test_a_median_stands_when_the_truth_of_a_few_runs_cannot_move_it_out_of_the_tolerance(tmp_path):
    values = {"a": [45.0, 50.0, 55.0, 52.0, 2000.0]}
    mean, few = judged(tmp_path, bounded(values, {"a": {4}}), COUNT, MEDIAN)
    assert few.verdict == "reproduced" and not few.bound and "median 52 over 5 seeds: the median lies" in few.reason
    assert mean.verdict == "not reproduced" and mean.bound and "mean at least 440 over 5 seeds" in mean.reason
    (half,) = judged(tmp_path, bounded({"a": [45.0, 50.0, 60.0, 60.0]}, {"a": {2, 3}}), MEDIAN)
    assert half.verdict == "not reproduced"  # though the median of the bounds would be 55


def test_a_lower_bound_above_the_paper_s_own_bound_reaches_it(tmp_path):
    row = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.9; tolerance = "share"; at_least = true'
    above, below = (bounded({"a": [value] * 3}, {"a": {0, 1, 2}}) for value in (0.98, 0.5))
    assert [judged(tmp_path, frame, row)[0].verdict for frame in (above, below)] == ["reproduced", "not reproduced"]


def test_a_lower_bound_may_stand_above_in_an_order_and_not_below(tmp_path):
    values, everyone = {"a": [100.0] * 6, "b": [2000.0] * 6}, set(range(6))
    (above,) = judged(tmp_path, bounded(values, {"b": everyone}), ORDER)
    assert above.verdict == "reproduced"
    assert (
        "means 100 and 2000" in above.reason
        and "6 of 6 runs of b did not reach it: 2000 is a lower bound" in above.reason
    )
    for seeds in (everyone, {3}):
        (below,) = judged(tmp_path, bounded(values, {"a": seeds}), ORDER)
        assert below.verdict == "not reproduced" and "a < b cannot be shown with lower bounds of a" in below.reason
    (few,) = judged(tmp_path, bounded({"a": [100.0], "b": [2000.0]}, {"a": {0}}), ORDER)
    assert few.verdict == "not reproduced"  # nor by the means
    (elsewhere,) = judged(tmp_path, bounded(values | {"c": [7.0] * 6}, {"c": everyone}), ORDER)
    assert elsewhere.verdict == "reproduced"


def test_an_order_with_lower_bounds_counts_among_the_tests_of_its_figure_and_with_p_1(tmp_path):
    """Holm by hand, six seeds, two orders.

    b < c: of the 64 patterns of signs only two have a sum of at least the observed 4.9, so p = 2/64. a < b: p = 1,
    since a may be larger than its bounds. Holm: 2 * 2/64 = 0.0625, above 0.05. With the 1/64 that the bounds
    themselves would give, a < b came first, and b < c would be held at 1 * 2/64 = 0.031.
    """
    frame = {"a": [1.0] * 6, "b": [10.0] * 6, "c": [11.0, 11.0, 11.0, 11.0, 11.0, 9.9]}
    rows = (ORDER, 'kind = "order"; variant = "b"; metric = "mse"; relations = ["b < c"]')
    open_order, other = judged(tmp_path, bounded(frame, {"a": set(range(6))}), *rows)
    assert (open_order.verdict, other.verdict) == ("not reproduced", "not reproduced")
    assert "is not significant" in other.reason and "p = 0.062 after Holm, 6 seeds" in other.reason
    first, second = judged(tmp_path, bounded(frame, {}), *rows)  # control
    assert (first.verdict, second.verdict) == ("reproduced", "reproduced")
    assert "p = 0.031 after Holm, 6 seeds" in second.reason


def test_a_lower_bound_is_alike_to_nothing(tmp_path):
    values = {"a": [2000.0] * 6, "b": [2000.0] * 6}
    verdicts = [
        judged(tmp_path, bounded(values, {side: {0}} if side else {}), ALIKE)[0].verdict for side in ("", "a", "b")
    ]
    assert verdicts == ["reproduced", "not reproduced", "not reproduced"]
