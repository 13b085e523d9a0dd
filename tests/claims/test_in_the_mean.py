"""What holds for the means of three seeds, each beside the same with one number changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from repro.claims.evidence import Evidence
from repro.claims.in_the_mean import in_the_mean, variants_of
from tests.claims.synthetic import HASHES, TOLERANCES, claims, records

VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'
ALIKE = 'kind = "similar"; variant = "b"; metric = "mse"; tolerance = "mse"; relations = ["a ~ b"]'
TIME = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 50; tolerance = "count"; statistic = "median"'
SHARE = 'kind = "order"; variant = "a"; metric = "mse"; share = { most = 500, below = 0.1 }'
HEAD = TOLERANCES + '\n[worse]\nhigher = ["mse"]\n'
Values = Mapping[str, Sequence[float]]


def holds(
    tmp_path: Path, row: str, values: Values, failed: Mapping[str, Sequence[int]] | None = None, bounds: bool = False
) -> bool | None:
    frame = records(values, failed)
    if bounds:
        frame["mse_at_least"] = (frame["mse"] >= 400).astype(float)
    (claim,) = claims(tmp_path, row, head=HEAD)
    return in_the_mean(claim, Evidence(frame, HASHES))[0]


@pytest.mark.parametrize(
    ("row", "values", "wanted"),
    [
        (VALUE, {"a": [0.010, 0.014, 0.018]}, True),  # the mean is 0.014, though one seed and the interval are outside
        (VALUE, {"a": [0.010, 0.014, 0.024]}, False),  # 0.016 is outside 0.0067 to 0.015
        (VALUE, {"a": [0.005, 0.006, 0.008]}, False),
        (ORDER, {"a": [1.0, 2.0, 6.0], "b": [2.0, 3.0, 5.0]}, True),  # means 3 and 3.3, in two of three seeds
        (ORDER, {"a": [1.0, 2.0, 6.0], "b": [2.0, 3.0, 3.0]}, False),
        (ORDER, {"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]}, False),
        (ALIKE, {"a": [1.0, 1.0, 1.0], "b": [1.0, 1.4, 2.0]}, True),  # ratio 1.47, its interval far beyond 1.5
        (ALIKE, {"a": [1.0, 1.0, 1.0], "b": [1.0, 1.4, 2.4]}, False),
        (VALUE + '; relations = ["a < b"]', {"a": [0.01] * 3, "b": [0.02] * 3}, True),
        (VALUE + '; relations = ["a < b"]', {"a": [0.01] * 3, "b": [0.005] * 3}, False),
        (VALUE + '; relations = ["a < b"]', {"a": [0.05] * 3, "b": [0.06] * 3}, False),  # the order alone
        (VALUE, {}, None),
        (ORDER, {"a": [1.0, 2.0, 3.0]}, None),
    ],
)
def test_what_holds(tmp_path: Path, row: str, values: Values, wanted: bool | None) -> None:
    assert holds(tmp_path, row, values) is wanted


@pytest.mark.parametrize(
    ("row", "values", "wanted"),
    [
        (TIME, [40.0, 70.0, 400.0], True),  # the Kaplan-Meier median is 70: one run of three never solved it
        (TIME, [40.0, 80.0, 400.0], False),
        (TIME, [40.0, 400.0, 400.0], False),  # no median: it is beyond 400
        (SHARE, [600.0, 700.0, 900.0], None),  # all were given up after 400: nobody knows about 500
        (SHARE, [30.0, 700.0, 900.0], None),
    ],
)
def test_times_that_are_bounds(tmp_path: Path, row: str, values: Sequence[float], wanted: bool | None) -> None:
    if row is SHARE:
        values = [min(value, 400.0) for value in values]
    assert holds(tmp_path, row, {"a": values}, bounds=True) is wanted


def test_a_share(tmp_path: Path) -> None:
    assert holds(tmp_path, SHARE, {"a": [600.0, 700.0, 900.0]}) is True
    assert holds(tmp_path, SHARE, {"a": [30.0, 700.0, 900.0]}) is False


def test_lost_runs(tmp_path: Path) -> None:
    """A lost run has the worst rank in an order; a mean must fit with it at the worst value of another run, too."""
    two = {"a": [1.0, 1.0, 1.0], "b": [2.0, 0.5, 2.0]}
    assert holds(tmp_path, ORDER, two) is True
    assert holds(tmp_path, ORDER, two, {"a": [0, 2]}) is False
    assert holds(tmp_path, ORDER, two, {"b": [0, 2]}) is True
    spread = {"a": [0.007, 0.02, 1.0]}
    assert holds(tmp_path, VALUE, {"a": [0.007, 0.02]}) is True  # 0.0135
    assert holds(tmp_path, VALUE, spread, {"a": [2]}) is False  # 0.0157 with a second 0.02
    assert holds(tmp_path, VALUE, spread, {"a": [0, 1, 2]}) is False
    assert holds(tmp_path, ORDER, two, {"b": [0, 1, 2]}) is False


def test_a_median_where_most_runs_were_lost_is_infinite(tmp_path: Path) -> None:
    small = VALUE + '; statistic = "median"'
    assert holds(tmp_path, small, {"a": [0.0, 0.01, 0.0]}, {"a": [0, 2]}) is False
    assert holds(tmp_path, small, {"a": [0.0, 0.01, 0.01]}, {"a": [0]}) is True
    assert holds(tmp_path, TIME, {"a": [0.0, 400.0, 0.0]}, {"a": [0, 2]}, bounds=True) is False
    at_least = TIME.replace("claimed = 50", "claimed = 900")  # half may reach it between 450 and 1350
    assert holds(tmp_path, at_least, {"a": [0.0, 400.0, 400.0]}, {"a": [0]}, bounds=True) is None
    assert holds(tmp_path, at_least, {"a": [0.0, 400.0, 0.0]}, {"a": [0, 2]}, bounds=True) is False


def test_numbers_that_are_not_compared(tmp_path: Path) -> None:
    (claim,) = claims(tmp_path, VALUE + '; relations = ["a < b"]', head=HEAD)
    evidence = Evidence(records({"a": [5.0] * 3, "b": [6.0] * 3}), HASHES)
    assert in_the_mean(claim, evidence, compare_value=False) == (True, "5 and 6")
    assert in_the_mean(claim, evidence) == (False, "5; 5 and 6")  # control
    (alone,) = claims(tmp_path, VALUE, head=HEAD)
    assert (variants_of(alone, compare_value=False), variants_of(alone), variants_of(claim)) == ((), ("a",), ("a", "b"))


def test_no_rows_at_all(tmp_path: Path) -> None:
    (claim,) = claims(tmp_path, ORDER, head=HEAD)
    assert in_the_mean(claim, Evidence(pd.DataFrame(records({})), HASHES)) == (None, "")
