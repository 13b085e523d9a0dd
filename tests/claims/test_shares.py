"""Claims on the share of runs that do something: solve a task in time, decay within bounds."""

import pandas as pd
import pytest

from repro.claims.table import format_brief, format_table
from tests.claims.synthetic import TOLERANCES, judged, records

FAILS = 'kind = "order"; variant = "a"; metric = "mse"; share = { most = 500, below = 0.1, beside = [200, 2000] }'
AGAINST = FAILS.replace("[200, 2000] }", '[200, 2000], against = "b" }')
DECAY = 'kind = "scaling"; variant = "a"; metric = "mse"; share = { least = 10, most = 100, unit = "tau", above = 0.5 }'


def times(solved: list[float], never: int = 0, given_up: float = 2000.0, variant: str = "a") -> pd.DataFrame:
    frame = records({variant: [*solved, *[given_up] * never]})
    return frame.assign(mse_at_least=[0.0] * len(solved) + [1.0] * never)


@pytest.mark.parametrize(
    ("solved", "never", "verdict"),
    [(0, 40, "reproduced"), (0, 30, "inconclusive"), (2, 38, "inconclusive"), (12, 28, "not reproduced")],
)
def test_a_task_that_is_not_solved(tmp_path, solved, never, verdict):
    """Upper ends, exact: 0 of 40: 0.088; 0 of 30: 0.116; the lower end of 12 of 40: 0.166."""
    (result,) = judged(tmp_path, times([300.0] * solved, never), FAILS)
    assert (result.verdict, result.n_seeds) == (verdict, solved + never), result.reason
    assert result.observed == solved / (solved + never) and result.statistic == "share"


def test_what_is_printed(tmp_path):
    (result,) = judged(tmp_path, times([150.0, 300.0, 1200.0], 37), FAILS)
    assert result.reason.startswith(
        "mse up to 500 in 2 of 40 runs of a (share 0.05, 95 % interval 0.0061 to 0.17, overlaps an edge of the claimed "
        "share < 0.1; mse up to 200: 1 of 40; mse up to 2000: 3 of 40)"
    )
    table = format_table([result])
    assert "0.05 s" in table and "share < 0.1" in table and "s share of the runs that meet the condition" in table
    assert "share 0.05 (0.00611 to 0.169), mse up to 500: share < 0.1" in format_brief([result], 200)


def test_runs_to_500_suffice_and_runs_that_were_given_up_before_do_not(tmp_path):
    (enough,) = judged(tmp_path, times([], 40, given_up=500.0), FAILS)
    assert enough.verdict == "reproduced" and "mse up to 2000: given up before that" in enough.reason
    (early,) = judged(tmp_path, times([], 40, given_up=400.0), FAILS)
    assert early.verdict == "not run" and "runs were given up before that" in early.reason


def test_a_lost_run_does_not_solve_it(tmp_path):
    frame = times([300.0] * 4, 36)
    lost = frame["seed"] < 4
    frame.loc[lost, ["mse", "status", "reason"]] = [float("nan"), "failed", "dead network"]
    (result,) = judged(tmp_path, frame, FAILS)
    assert (result.verdict, result.observed, result.n_seeds) == ("reproduced", 0.0, 40)
    assert "4 of 40 runs of a are lost" in result.reason
    (control,) = judged(tmp_path, times([300.0] * 4, 36), FAILS)
    assert control.verdict == "inconclusive"
    (none,) = judged(tmp_path, frame.assign(mse=float("nan"), status="failed", reason="dead network"), FAILS)
    assert none.verdict == "not reproduced" and "an unknown share of a (no run gave a value)" in none.reason


def test_it_is_compared_by_a_log_rank_test(tmp_path):
    b = pd.concat([times([], 20), times([40.0 + k for k in range(20)], variant="b")], ignore_index=True)
    (differs,) = judged(tmp_path, b, AGAINST)
    assert "log-rank test against b: p = " in differs.reason
    assert float(differs.reason.split("against b: p = ")[1].split(")")[0]) < 1e-6
    same = pd.concat([times([], 20), times([], 20, variant="b")], ignore_index=True)
    (alike,) = judged(tmp_path, same, AGAINST)
    assert "log-rank test against b: p = 1)" in alike.reason
    assert "log-rank" not in judged(tmp_path, times([], 20), AGAINST)[0].reason  # no run of b


@pytest.mark.parametrize(("tau", "verdict"), [(20.0, "reproduced"), (200.0, "not reproduced"), (5.0, "not reproduced")])
def test_a_decay_in_units_of_the_run_s_own_time_constant(tmp_path, tau, verdict):
    frame = records({"a": [1200.0] * 12}).assign(**{"config.tau": tau})
    (result,) = judged(tmp_path, frame, DECAY)
    assert result.verdict == verdict, result.reason
    assert "mse from 10 to 100 times tau in" in result.reason
    assert judged(tmp_path, records({}), DECAY)[0].verdict == "not run"


def test_nine_of_ten_are_a_majority_and_seven_of_ten_are_not_yet(tmp_path):
    for outside, verdict in ((1, "reproduced"), (3, "inconclusive")):
        frame = records({"a": [1200.0] * (10 - outside) + [9e5] * outside}).assign(**{"config.tau": 20.0})
        assert judged(tmp_path, frame, DECAY)[0].verdict == verdict


def test_without_runs_or_data_it_is_as_any_other_claim(tmp_path):
    licensed = TOLERANCES + '\n[licences]\ntoy = "bring your own"\n'
    assert judged(tmp_path, records({}), FAILS)[0].verdict == "not run"
    assert judged(tmp_path, records({}), FAILS, head=licensed)[0].verdict == "no data"
