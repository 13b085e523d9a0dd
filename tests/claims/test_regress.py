import math

import numpy as np
import pandas as pd
import pytest

from repro.claims.regress import ALPHA, CellResult, regress
from repro.claims.regress_table import exit_code, format_table, select_required
from repro.claims.shift import Shift
from repro.errors import UserError
from tests.claims.synthetic import records

OLD = np.random.default_rng(0).normal(1.0, 0.1, 10)
ACCEPTED = records({"a": OLD})
HERE = {"git_commit": "c0ffee", "machine": "a CPU", "device": "cpu", "threads": 1, "versions": "torch 2.11.0"}


def judge(new: pd.DataFrame, accepted: pd.DataFrame = ACCEPTED, max_shift: float = 2.0) -> CellResult:
    (cell,) = regress(new, accepted, max_shift)
    return cell


def lognormal(rng: np.random.Generator, n: int, centre: float = 1.0, spread: float = 0.3) -> np.ndarray:
    return centre * np.exp(spread * rng.standard_normal(n))


def code(new: pd.DataFrame, accepted: pd.DataFrame, *require: str, max_shift: float = 2.0) -> int:
    cells = regress(new, accepted, max_shift)
    return exit_code(cells, select_required(cells, require))


# ------------------------------------------------------------------------------------------------------------ bits


def test_equal_bits_are_the_same_wherever_they_were_made():
    cell = judge(records({"a": OLD[:2]}))
    assert (cell.verdict, cell.n_bits, cell.detectable) == ("same", 2, 1.0) and "equal to the bit" in cell.reason
    assert judge(records({"a": OLD[:2] + 1e-9})).n_bits == 0


@pytest.mark.parametrize("other", [*HERE, "git_dirty"])
def test_one_commit_and_machine_must_give_equal_bits_and_another_may_not(other):
    old = ACCEPTED.assign(**HERE)
    new = records({"a": np.nextafter(OLD, 2)}).assign(**HERE)
    assert judge(old, old).verdict == "same"
    moved = judge(new, old)
    assert moved.verdict == "moved" and "though commit and kind of machine are the same" in moved.reason
    elsewhere = new.assign(**{other: True if other == "git_dirty" else 7 if other == "threads" else "another"})
    assert judge(elsewhere, old).verdict == "same"


@pytest.mark.parametrize("unknown", ["machine", "git_commit"])
def test_what_is_not_known_is_not_the_same(unknown):
    old = ACCEPTED.assign(**HERE | {unknown: ""})
    new = records({"a": np.nextafter(OLD, 2)})
    assert judge(new.assign(**HERE | {unknown: ""}), old).verdict == "same"


def test_unequal_numbers_of_the_same_weights_have_moved():
    old = ACCEPTED.assign(weights_sha256=[f"{seed:064}" for seed in range(10)])
    new = old.assign(mse=np.nextafter(OLD, 2), machine="another", git_commit="another")
    moved = judge(new, old)
    assert moved.verdict == "moved" and "though the weights are the same" in moved.reason
    assert judge(new.assign(weights_sha256="f" * 64), old).verdict == "same"
    assert judge(new.assign(weights_sha256=""), old.assign(weights_sha256="")).verdict == "same"


def test_seeds_that_bits_decide_are_not_tested_again():
    old = ACCEPTED.assign(**HERE)
    fresh = records({"a": lognormal(np.random.default_rng(1), 3, spread=0.1)}).assign(seed=[20, 21, 22], **HERE)
    both = pd.concat([old, fresh], ignore_index=True)
    cell, alone = judge(both, old), judge(fresh, old)
    assert (cell.n_new, cell.n_bits, cell.p) == (13, 10, alone.p) and cell.verdict == "same"
    assert judge(pd.concat([old, fresh.assign(mse=2.0)], ignore_index=True), old).verdict == "moved"


# ---------------------------------------------------------------------------------------------------- distributions


def test_a_clear_shift_has_moved_and_none_has_not():
    rng = np.random.default_rng(1)
    assert judge(records({"a": rng.normal(1.0, 0.1, 10)})).verdict == "same"
    assert judge(records({"a": rng.normal(1.4, 0.1, 10)})).verdict == "moved"
    assert judge(records({"a": rng.normal(0.6, 0.1, 3)})).verdict == "moved"


def test_a_shift_that_could_not_be_seen_is_not_the_same():
    """A fivefold error within three accepted standard deviations, one seed."""
    rng = np.random.default_rng(1)
    old = {name: lognormal(rng, 10, spread=0.7) for name in "abcdefghijkl"}
    new = records({name: [5 * np.exp(np.log(values).mean())] for name, values in old.items()}).assign(seed=77)
    cells = regress(new, records(old))
    near = [c for c in cells if math.log(c.shift) < 3 * np.log(old[c.variant]).std(ddof=1)]
    assert len(near) > 5 and {cell.verdict for cell in near} <= {"moved", "too few"}
    assert all(cell.verdict == "moved" or cell.detectable > 5 for cell in cells)
    assert code(new, records(old)) in (1, 3)
    unmoved = new.assign(mse=[np.exp(np.log(values).mean()) for values in old.values()])
    assert {cell.verdict for cell in regress(unmoved, records(old))} == {"too few"} and code(unmoved, records(old)) == 3
    wide = regress(unmoved, records(old), max_shift=100)
    assert {cell.verdict for cell in wide} == {"same"} and code(unmoved, records(old), max_shift=100) == 0


def test_more_seeds_detect_smaller_shifts():
    rng = np.random.default_rng(3)
    old = records({"a": lognormal(rng, 10)})
    sizes = [judge(records({"a": lognormal(rng, n)}).assign(seed=range(50, 50 + n)), old) for n in (1, 3, 10, 40)]
    assert sizes[0].detectable > sizes[1].detectable > sizes[2].detectable > sizes[3].detectable > 1


def test_differences_of_signed_values_are_compared_with_the_mean():
    rng = np.random.default_rng(1)
    old, new = rng.normal(2.0, 1.5, 20), rng.normal(2.0, 1.5, 20)
    cell = judge(records({"a": new}).assign(seed=range(20, 40)), records({"a": old}))
    assert cell.scale == "difference" and cell.detectable == pytest.approx(2.9 * 1.5 * math.sqrt(2 / 20), rel=0.4)
    assert cell.verdict == "same"
    centred = judge(records({"a": new - 2}).assign(seed=range(20, 40)), records({"a": old - old.mean()}))
    assert centred.verdict == "too few"


def test_false_alarms_are_as_rare_as_stated():
    """Eight cells in which nothing changed, new seeds and shared ones, on made-up data: at most 5 % have a "moved"."""
    rng = np.random.default_rng(5)
    for n_new, first in ((10, 0), (10, 100), (3, 100), (1, 100)):
        alarms = 0
        for _ in range(100):
            old = records({name: lognormal(rng, 10) for name in "abcdefgh"})
            new = records({name: lognormal(rng, n_new) for name in "abcdefgh"})
            cells = regress(new.assign(seed=new["seed"] + first), old)
            alarms += any(cell.verdict == "moved" for cell in cells)
        assert alarms <= 12, (n_new, first)  # P(more than 12 of 100 at a rate of 0.05) = 0.002


def test_shifts_of_the_stated_size_are_found_as_often_as_stated():
    rng = np.random.default_rng(6)
    for n_new, first in ((10, 0), (10, 100), (1, 100)):
        shifted, half = (found(rng, n_new, first, share) for share in (1.0, 0.5))
        assert 0.68 <= shifted <= 0.91 and half < 0.5, (n_new, first)


def found(rng: np.random.Generator, n_new: int, first: int, share: float) -> float:
    """How often a shift is found that is a `share` of what the comparison states for data of this known spread."""
    trials, moved = 120, 0
    paired = first == 0
    error = 0.3 * math.sqrt(2 / n_new if paired else 1 / n_new + 1 / 10)
    size = Shift(0, error, n_new - 1 if paired else n_new + 8, True, paired).detectable(ALPHA)
    for _ in range(trials):
        new = records({"a": lognormal(rng, n_new, math.exp(share * size))})
        moved += judge(new.assign(seed=new["seed"] + first), records({"a": lognormal(rng, 10)})).verdict == "moved"
    return moved / trials


def test_cells_share_their_level():
    rng = np.random.default_rng(7)
    old = {name: rng.normal(1.0, 0.1, 6) for name in "abcdefgh"}
    new = {"a": old["a"] + 0.1} | {name: old[name][::-1] for name in "bcdefgh"}
    alone = judge(records({"a": new["a"]}), records({"a": old["a"]}))
    crowd = regress(records(new), records(old))
    assert alone.p < crowd[0].p == pytest.approx(min(1.0, 8 * alone.p))
    assert alone.detectable < crowd[0].detectable
    assert all(cell.verdict == "same" for cell in crowd[1:])


def test_a_single_accepted_run_allows_for_no_verdict_on_another_one():
    one = records({"a": [1.0]})
    assert judge(records({"a": [1.0]}), one).verdict == "same"
    other = judge(records({"a": [5.0]}), one)
    assert (other.verdict, other.detectable) == ("too few", math.inf) and "no test" in other.reason
    assert "x 5   " in format_table([other], [other]) and "nothing" in format_table([other], [other])


def test_constant_results():
    accepted = records({"a": [5.0] * 5})
    assert judge(records({"a": [5.0] * 6}), accepted).verdict == "same"
    assert judge(records({"a": [7.0] * 6}), accepted).verdict == "moved"


# ------------------------------------------------------------------------------- failed, unfinished and missing runs


def test_unfinished_runs_are_left_out():
    late = ACCEPTED["seed"] >= 5
    unfinished = ACCEPTED.assign(status=ACCEPTED["status"].where(~late, "unfinished"), mse=ACCEPTED["mse"] + 9 * late)
    for cells in (regress(unfinished, ACCEPTED), regress(ACCEPTED, unfinished)):
        assert [cell.verdict for cell in cells] == ["same"]
    assert judge(unfinished.replace("unfinished", "failed")).verdict == "moved"  # control
    assert regress(ACCEPTED, ACCEPTED.assign(status="unfinished")) == []


def test_a_run_that_fails_where_the_accepted_one_finished_has_moved():
    new = records({"a": OLD}, failed={"a": [4]})
    assert judge(new).verdict == "moved"
    assert judge(records({"a": [*OLD[:4], math.nan]})).verdict == "moved"
    failed_before = records({"a": OLD}, failed={"a": [4]})
    assert judge(new, failed_before).verdict == "same"
    assert judge(records({"a": OLD}, failed={"a": [5]}), failed_before).verdict == "moved"
    assert judge(records({"a": [*OLD, 1.0]}, failed={"a": [10]}), failed_before).verdict == "same"
    assert judge(records({"a": [*OLD, 1.0]}, failed={"a": [10]})).verdict == "moved"


def test_what_was_not_run():
    assert regress(records({}), records({})) == []
    missing = judge(records({}))
    assert missing.verdict == "not run" and math.isnan(missing.detectable)
    assert judge(records({"a": OLD}, config_hash="another")).verdict == "not run"
    assert regress(ACCEPTED, records({"a": OLD}, failed={"a": range(10)})) == []


def test_two_records_of_one_run_are_refused():
    with pytest.raises(UserError, match="two records of seed 3"):
        regress(records({"a": [1.0, 2.0]}).assign(seed=3), ACCEPTED)


def test_marks_of_lower_bounds_are_no_metrics():
    marked = ACCEPTED.assign(mse_at_least=0.0, rate_at_least=0.0)
    assert [cell.metric for cell in regress(marked, marked)] == ["mse", "rate_at_least"]
