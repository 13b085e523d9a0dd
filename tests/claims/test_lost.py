"""A run that is lost (a dead network, NaN) is an outcome: counted, named, never dropped from a mean without a word."""

import math

import pytest

from repro.claims.check import check
from repro.claims.table import format_brief, format_table
from tests.claims.synthetic import HASHES, TOLERANCES, around, claims, judged, records

HEAD = TOLERANCES + '\n[worse]\nhigher = ["mse"]\nlower = ["share"]\n'
VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'
MEDIAN = VALUE + '; statistic = "median"'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'


def test_they_are_counted_and_named(tmp_path):
    frame = records({"a": around(0.01, 12), "b": around(0.02, 12)}, failed={"a": (2, 5), "b": range(12)})
    value, order = judged(tmp_path, frame, VALUE, ORDER, head=HEAD)
    assert (value.verdict, value.n_seeds, value.n_lost) == ("reproduced", 10, 2)
    assert "2 of 12 runs of a are lost (seed 2, 5: the loss is NaN)" in value.reason
    assert "with lost runs at the worst value 0.01" in value.reason
    assert "10 of 12" in format_table([value]) and "10 of 12 seeds" in format_brief([value])
    assert order.verdict == "not reproduced" and "12 of 12 runs of b are lost" in order.reason
    (whole,) = judged(tmp_path, records({"a": around(0.01, 12)}), VALUE, head=HEAD)  # control
    assert whole.n_lost == 0 and "lost" not in whole.reason and " of 12" not in format_table([whole])


def test_a_run_whose_metric_is_not_finite_counts_as_lost(tmp_path):
    (broken,) = judged(tmp_path, records({"a": [0.01, 0.01, math.nan, math.inf]}), VALUE, head=HEAD)
    assert broken.n_seeds == 2 and "2 of 4 runs of a are without a value (seed 2, 3: no finite mse)" in broken.reason


def test_a_mean_that_the_lost_runs_would_move_is_inconclusive(tmp_path):
    """29 runs near 0.0088 and one at 0.042; one more was lost. With it at 0.042 the interval leaves the tolerance."""
    values = [*around(0.0088, 29), 0.042, 0.01]
    (moved,) = judged(tmp_path, records({"a": values}, failed={"a": {30}}), VALUE, head=HEAD)
    (whole,) = judged(tmp_path, records({"a": values[:-1]}), VALUE, head=HEAD)
    assert (moved.verdict, whole.verdict) == ("inconclusive", "reproduced")
    assert "not settled against" in moved.reason and "with lost runs at the worst value" in moved.reason
    (unknown,) = judged(tmp_path, records({"a": values}, failed={"a": {30}}), VALUE)  # which way it is worse
    assert unknown.verdict == "reproduced" and "1 of 31 runs of a is lost" in unknown.reason


def test_in_a_median_a_lost_run_never_gets_there(tmp_path):
    values = [0.008, 0.009, 0.0095, 0.0098, 0.02, 0.021, 0.022, 0.5, 0.5]
    lost, whole = (
        judged(tmp_path, records({"a": v}, failed=f), MEDIAN, head=HEAD)[0]
        for v, f in ((values, {"a": {7, 8}}), (values[:7], None))
    )
    assert (lost.observed, whole.observed) == (0.02, 0.0098)
    assert lost.n_seeds == 9 and "9 seeds" in lost.reason


@pytest.mark.parametrize(("metric", "worst"), [("mse", "b"), ("share", "a")])
def test_in_an_order_a_lost_run_has_the_worst_value(tmp_path, metric, worst):
    """Seven pairs, all with a below b, two runs of one side lost: the order holds only where losing is the worse.

    Ranks by hand, two runs of the smaller side lost: five pairs differ by about 6, two by about -4, so that flipping
    one or both of these, or one of the five, leaves the sum as large: more than 6 of 128 patterns.
    """
    values = {"a": around(0.01, 7), "b": around(0.02, 7)}
    order = ORDER.replace('"mse"', f'"{metric}"')
    (result,) = judged(tmp_path, records(values, failed={worst: {3, 5}}, metric=metric), order, head=HEAD)
    assert result.verdict == "reproduced" and "2 lost runs at the worst value, ranks tested" in result.reason
    other = "a" if worst == "b" else "b"
    (against,) = judged(tmp_path, records(values, failed={other: {3, 5}}, metric=metric), order, head=HEAD)
    assert against.verdict == "direction only" and "in 5 of 7 seeds" in against.reason
    (neither,) = judged(tmp_path, records(values, failed={worst: {3}}, metric=metric), order)
    assert (
        neither.n_seeds == 6 and neither.verdict == "direction only"
    )  # control: without a worse side the pair is left out


def test_an_identity_does_not_hold_where_a_run_was_lost(tmp_path):
    row = 'kind = "exact"; variant = "a"; metric = "mse"; relations = ["a < 0.02"]'
    (lost,) = judged(tmp_path, records({"a": [0.01] * 10}, failed={"a": {3}}), row)
    (whole,) = judged(tmp_path, records({"a": [0.01] * 9}), row)
    assert (lost.verdict, whole.verdict) == ("not reproduced", "reproduced")


def test_lost_runs_of_an_order_are_among_its_seeds(tmp_path):
    frame = records({"a": around(0.01, 10), "b": around(0.02, 10)}, failed={"a": {5}})
    value, order = judged(tmp_path, frame, VALUE, ORDER, head=HEAD)
    assert "9 of 10" in format_table([value]) and (order.n_seeds, order.n_lost) == (10, 0)
    assert " of 1" not in format_table([order])


def test_a_variant_whose_runs_were_all_lost_is_not_reproduced(tmp_path):
    frame = records({"a": [0.01] * 3}, failed={"a": range(3)})
    (result,) = judged(tmp_path, frame, VALUE, head=HEAD)
    assert (result.verdict, result.n_seeds, result.n_lost) == ("not reproduced", 0, 3)


def test_lost_runs_of_a_likeness_are_counted_as_the_worst(tmp_path):
    row = 'kind = "similar"; variant = "b"; metric = "mse"; tolerance = "mse"; relations = ["a ~ b"]'
    values = {"a": around(0.01, 24), "b": [*around(0.0105, 23), 0.1]}
    stated = claims(tmp_path, row, head=HEAD)
    (lost,) = check(stated, records(values, failed={"b": {5, 6, 7, 8}}), HASHES)
    (whole,) = check(stated, records(values), HASHES)
    assert "4 lost runs at the worst value" in lost.reason and "ranks" not in lost.reason
    assert (lost.verdict, whole.verdict) == ("not reproduced", "inconclusive")
    assert lost.reason != whole.reason
