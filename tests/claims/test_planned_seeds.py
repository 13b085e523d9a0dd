"""Accepted records are judged on the seeds that were planned before they were run."""

from typing import Any

import pandas as pd
import pytest

from repro.claims.check import check
from repro.claims.claim import load_claims
from repro.claims.table import format_brief, format_table
from repro.errors import UserError
from tests.claims.synthetic import HASHES, TOLERANCES, around, claims, records

HEAD = TOLERANCES + '\n[seeds.toy]\nfirst = 10\nlast = 19\ndevice = "cpu"\nwhy = "a test"\n'
VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'


def runs(first: int, n: int = 10, centre: float = 0.01, device: str = "cpu") -> pd.DataFrame:
    frame = records({"a": around(centre, n), "b": around(2 * centre, n)})
    return frame.assign(seed=frame["seed"] + first, device=device)


def verdicts(tmp_path: Any, *frames: pd.DataFrame, planned: bool = True) -> list[Any]:
    return check(claims(tmp_path, VALUE, ORDER, head=HEAD), pd.concat(frames), HASHES, planned=planned)


def test_other_seeds_give_no_verdict_and_a_note(tmp_path):
    value, order = verdicts(tmp_path, runs(0))
    assert (value.verdict, order.verdict, value.n_seeds) == ("not run", "not run", 0)
    assert (
        "no finished run of a with one of the planned seeds, 10 to 19, at the paper's size (10 of other" in value.reason
    )
    assert value.substitute_note.startswith("other seeds: reproduced: mean 0.0")
    assert "reproduced: a < b holds" in order.substitute_note
    assert "c0    other seeds: reproduced" in format_brief([value, order])
    assert "c0: other seeds: reproduced" in format_table([value], why=True)
    assert [r.verdict for r in verdicts(tmp_path, runs(0), planned=False)] == ["reproduced"] * 2  # control


def test_planned_seeds_count_alone(tmp_path):
    value, order = verdicts(tmp_path, runs(0, centre=0.1), runs(10), runs(20, centre=0.1))
    assert (value.verdict, order.verdict, value.n_seeds) == ("reproduced", "reproduced", 10)
    assert value.observed == pytest.approx(around(0.01, 10).mean()) and not value.substitute_note
    both = verdicts(tmp_path, runs(0, centre=0.1), runs(10), planned=False)
    assert both[0].n_seeds == 20 and both[0].verdict != "reproduced"  # control


def test_a_run_on_another_device_does_not_count(tmp_path):
    assert verdicts(tmp_path, runs(10, device="cuda"))[0].verdict == "not run"


def test_a_run_on_another_device_hides_no_planned_one(tmp_path):
    """Two configs are at the paper's scale; the one that is named first was run on a GPU too."""
    hashes = {("toy", variant): ("paper", "later") for variant in "abc"}
    on_gpu, on_cpu = runs(10, centre=0.1, device="cuda"), runs(10).assign(config_hash="later")
    rows = claims(tmp_path, VALUE, head=HEAD)
    (value,) = check(rows, pd.concat([on_gpu, on_cpu]), hashes, planned=True)
    assert (value.verdict, value.n_seeds) == ("reproduced", 10)
    (control,) = check(rows, pd.concat([on_gpu, on_cpu]), hashes)
    assert control.observed == pytest.approx(around(0.1, 10).mean())


def test_a_part_of_them_is_indicative(tmp_path):
    part, whole = (verdicts(tmp_path, runs(10, n)) for n in (8, 10))
    assert [r.indicative for r in (*part, *whole)] == [True, True, False, False]
    assert "planned: seeds 10 to 19" in part[0].reason and "planned" not in whole[0].reason


def test_the_plan_of_the_paper_s_claims():
    plans = {claim.task: str(claim.seeds) for claim in load_claims() if claim.seeds}
    assert plans == {
        "pattern_generation": "10 to 49", "store_recall": "10 to 49", "arm_reaching": "0 to 7", "copy_repeat": "0 to 7",
        "word_prediction": "0 to 7",
    }  # fmt: skip
    assert all(claim.seeds.device == "cpu" for claim in load_claims() if str(claim.seeds) == "10 to 49")


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (HEAD.replace("last = 19", "last = 9"), "seeds of 'toy': last = 9 comes before first = 10"),
        (HEAD.replace("first = 10", "first = -1"), "seeds of 'toy': first = -1: wants a whole number from 0 up"),
        (HEAD.replace('"cpu"', '"tpu"'), "seeds of 'toy': device = 'tpu': wants cpu or cuda"),
        (TOLERANCES + '\n[worse]\nhigher = "mse"\n', "[worse]: higher = 'mse': wants a list of metrics"),
    ],
)
def test_a_plan_that_means_nothing_is_refused(tmp_path, head, says):
    with pytest.raises(UserError) as error:
        claims(tmp_path, VALUE, head=head)
    assert says in str(error.value)
