import math

import numpy as np
import pytest

from repro.claims.regress import format_table, regress
from repro.errors import UserError
from tests.claims.synthetic import records

OLD = np.random.default_rng(0).normal(1.0, 0.1, 10)
ACCEPTED = records({"a": OLD})


def verdict(new, accepted=ACCEPTED):
    (cell,) = regress(new, accepted)
    return cell.verdict


def test_a_clear_shift_has_moved_and_none_has_not():
    rng = np.random.default_rng(1)
    assert verdict(records({"a": rng.normal(1.0, 0.1, 10)})) == "same"
    assert verdict(records({"a": rng.normal(1.4, 0.1, 10)})) == "moved"
    assert verdict(records({"a": rng.normal(0.6, 0.1, 3)})) == "moved"


def test_a_significant_but_small_shift_is_not_called_a_move():
    wide = np.random.default_rng(2).normal(1.0, 0.1, 4000)
    (small,) = regress(records({"a": wide + 0.03}), records({"a": wide}))
    (large,) = regress(records({"a": wide + 0.06}), records({"a": wide}))
    assert small.p < 1e-6 and small.verdict == "same"
    assert large.verdict == "moved"


def test_errors_are_compared_on_a_log_scale_and_signed_numbers_as_they_are():
    old = np.exp(np.random.default_rng(0).normal(0.0, 0.2, 10))
    new = 2 * np.exp(np.random.default_rng(3).normal(0.0, 0.2, 5))
    (logs,) = regress(records({"a": new}), records({"a": old}))
    (plain,) = regress(records({"a": new - 1.0}), records({"a": old - 1.0}))
    assert logs.p < 0.5 * plain.p
    assert logs.verdict == "moved"


def test_cells_share_their_level():
    rng = np.random.default_rng(7)
    old = {name: rng.normal(1.0, 0.1, 6) for name in "abcdefgh"}
    new = {"a": old["a"] + 0.1} | {name: old[name][::-1] for name in "bcdefgh"}
    (alone,) = regress(records({"a": new["a"]}), records({"a": old["a"]}))
    crowd = regress(records(new), records(old))
    assert alone.p < crowd[0].p == pytest.approx(min(1.0, 8 * alone.p))
    assert all(cell.verdict == "same" for cell in crowd[1:])


def test_equal_bits_are_the_same_whatever_the_spread():
    (cell,) = regress(records({"a": OLD[:2]}), ACCEPTED)
    assert cell.verdict == "same" and "bit-equal" in cell.reason
    (all_ten,) = regress(ACCEPTED, ACCEPTED)
    assert "bit-equal" in all_ten.reason
    assert "bit-equal" not in regress(records({"a": OLD[:2] + 1e-9}), ACCEPTED)[0].reason


def test_unfinished_runs_are_left_out():
    late = ACCEPTED["seed"] >= 5
    unfinished = ACCEPTED.assign(status=ACCEPTED["status"].where(~late, "unfinished"), mse=ACCEPTED["mse"] + 9 * late)
    for cells in (regress(unfinished, ACCEPTED), regress(ACCEPTED, unfinished)):
        assert [cell.verdict for cell in cells] == ["same"]
    assert verdict(unfinished.replace("unfinished", "failed")) == "moved"  # control
    assert regress(ACCEPTED, ACCEPTED.assign(status="unfinished")) == []


def test_few_seeds_are_held_against_the_accepted_run_of_their_seed():
    spread = np.log(OLD).std(ddof=1)
    assert verdict(records({"a": OLD[:2] * np.exp([0, 2.9 * spread])})) == "same"
    (far,) = regress(records({"a": OLD[:2] * np.exp([0, 3.1 * spread])}), ACCEPTED)
    assert far.verdict == "moved" and "seed 1: beyond 3" in far.reason and math.isnan(far.p)
    assert verdict(records({"a": OLD[:1]}).assign(seed=77)) == "not run"


def test_a_single_accepted_run_allows_for_no_difference():
    one = records({"a": [1.0]})
    assert verdict(records({"a": [1.0]}), one) == "same"
    assert verdict(records({"a": [1.0 + 1e-6]}), one) == "moved"


def test_constant_results():
    accepted = records({"a": [5.0] * 5})
    assert verdict(records({"a": [5.0] * 6}), accepted) == "same"
    assert verdict(records({"a": [7.0] * 6}), accepted) == "moved"


def test_a_run_that_fails_where_the_accepted_one_finished_has_moved():
    new = records({"a": OLD}, failed={"a": [4]})
    assert verdict(new) == "moved"
    assert verdict(records({"a": [*OLD[:4], math.nan]})) == "moved"
    failed_before = records({"a": OLD}, failed={"a": [4]})
    assert verdict(new, failed_before) == "same"
    assert verdict(records({"a": OLD}, failed={"a": [5]}), failed_before) == "moved"
    assert verdict(records({"a": [*OLD, 1.0]}, failed={"a": [10]}), failed_before) == "same"
    assert verdict(records({"a": [*OLD, 1.0]}, failed={"a": [10]})) == "moved"


def test_what_was_not_run():
    assert regress(records({}), records({})) == []
    assert verdict(records({})) == "not run"
    assert verdict(records({"a": OLD}, config_hash="another")) == "not run"
    assert regress(ACCEPTED, records({"a": OLD}, failed={"a": range(10)})) == []


def test_a_cell_for_every_metric():
    accepted = ACCEPTED.assign(rate=10.0)
    cells = regress(ACCEPTED.assign(rate=12.0), accepted)
    assert {cell.metric: cell.verdict for cell in cells} == {"mse": "same", "rate": "moved"}
    text = format_table(cells)
    assert (
        "toy a rate moved: the means differ by more than 100 accepted standard deviations" in text
        and "2 cells: 1 same, 1 moved, 0 not run" in text
    )
    assert "no accepted results" in format_table([])


def test_two_records_of_one_run_are_refused():
    with pytest.raises(UserError, match="two records of seed 3"):
        regress(records({"a": [1.0, 2.0]}).assign(seed=3), ACCEPTED)
