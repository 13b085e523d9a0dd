"""Results of runs on substitutes of the paper's data are printed as notes and change no verdict."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from repro.claims.accept import accept
from repro.claims.check import check
from repro.claims.claim_result import ClaimResult
from repro.claims.regress import regress
from repro.claims.table import format_table
from repro.cli.check import as_json, judge
from repro.records import frames, store
from tests.claims.synthetic import HASHES, TOLERANCES, around, claims, records
from tests.figures.synthetic_speech import PAPER, TYPICAL, write_runs

HEAD = TOLERANCES + '\n[licences]\ntoy = "bring your own"\n'
VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'
SUBSTITUTES = {("toy", variant): ("on made-up data", ("made up",)) for variant in "abc"}
BEFORE = "on synthesised speech in place of TIMIT, quick size: "


def made_up(a: float, b: float, seeds: int = 3, failed: range = range(0)) -> pd.DataFrame:
    values = {"a": around(a, seeds), "b": around(b, seeds, seed=1)}
    return records(values, {"b": failed}, config_hash="made up")


def judged(tmp_path: Path, *frames: pd.DataFrame) -> list[ClaimResult]:
    frame = pd.concat(frames, ignore_index=True)
    return check(claims(tmp_path, VALUE, ORDER, head=HEAD), frame, HASHES, SUBSTITUTES)


def test_the_order_is_printed_and_follows_the_values(tmp_path):
    (value, order), (_, turned) = (judged(tmp_path, made_up(*both)) for both in ((0.01, 0.02), (0.02, 0.01)))
    assert (value.verdict, value.reason, value.substitute_note) == ("no data", "bring your own.", "")
    assert order.verdict == turned.verdict == "no data" and order.n_seeds == 0
    assert order.reason.startswith("bring your own; on made-up data: a < b holds in the mean only (means 0.0")
    assert order.reason.endswith("; too few seeds for a test: in 3 of 3 seeds).")
    assert "a < b does not hold" in turned.reason and "in 0 of 3 seeds" in turned.reason


def test_enough_seeds_are_tested(tmp_path):
    _, order = judged(tmp_path, made_up(0.01, 0.02, seeds=7))
    assert (order.verdict, order.indicative) == ("no data", False)
    assert "a < b holds" in order.substitute_note and "p = 0.0078 after Holm, in 7 of 7 seeds" in order.substitute_note


@pytest.mark.parametrize("ours", [0.01, 0.1])
def test_a_verdict_on_the_paper_s_data_is_independent_of_other_data(tmp_path, ours):
    paper = records({"a": around(ours, 8), "b": around(0.02, 8, seed=1)})
    alone = judged(tmp_path, paper)
    assert {r.verdict for r in alone} == ({"reproduced"} if ours == 0.01 else {"not reproduced"})
    for a, b in ((0.01, 0.02), (0.02, 0.01)):
        beside = judged(tmp_path, paper, made_up(a, b))
        assert [r.verdict for r in beside] == [r.verdict for r in alone]
        assert not any("made-up" in r.reason or r.substitute_note for r in beside)
        assert [r.observed for r in beside] == [r.observed for r in alone]


def test_runs_that_failed_there_are_printed(tmp_path):
    _, some = judged(tmp_path, made_up(0.01, 0.02, failed=range(1)))
    _, all_of_b = judged(tmp_path, made_up(0.01, 0.02, failed=range(3)))
    assert "in 2 of 2 seeds); 1 of 3 runs of b is lost (seed 0: the loss is NaN)" in some.substitute_note
    assert "a < b cannot be judged without a common seed; 3 of 3 runs of b are lost" in all_of_b.substitute_note
    assert all_of_b.verdict == "no data"


def test_the_terminal_prints_it_below_the_claims_without_data(tmp_path):
    text = format_table(judged(tmp_path, made_up(0.01, 0.02)), why=True)
    assert "): c0, c1\n    c1: on made-up data: a < b holds in the" in text
    assert text.endswith("2 claims: 2 no data")
    assert "made-up" not in format_table(judged(tmp_path, records({"a": [0.01]}, config_hash="other")), why=True)


def notes(where: Path) -> dict[str, str]:
    """Claim of figure 2c -> the note on runs on substituted data; every verdict on them is "no data"."""
    results = judge(where, "fig2", ["2c", "text"])
    ours = {r.id: r for r in results if r.id.startswith("2c-")}
    assert {r.verdict for r in ours.values()} == {"no data"}
    assert all("set TIMIT_DIR" in r.reason for r in ours.values())
    return {name: r.substitute_note.removeprefix(BEFORE) for name, r in ours.items() if r.substitute_note}


def test_the_chain_of_figure_2c(tmp_path):
    write_runs(tmp_path / "a")
    printed = notes(tmp_path / "a")
    assert {name: text.partition(" (")[0] for name, text in printed.items()} == {
        "2c-readout": "readout_only < e_prop_1 holds in the mean only",
        "2c-eprop1s": "e_prop_1 < e_prop_1_symmetric holds in the mean only",
        "2c-bptt": "e_prop_1_symmetric < bptt holds in the mean only",
        "2c-lstm": "bptt < lstm_bptt holds in the mean only",
        "2c-variance": "e_prop_1_variance_1_over_n < e_prop_1 holds in the mean only",
    }
    swapped = {"readout_only": TYPICAL["e_prop_1"], "e_prop_1": TYPICAL["readout_only"]}
    write_runs(tmp_path / "b", accuracy=swapped)
    turned = {name for name, text in notes(tmp_path / "b").items() if "does not hold" in text}
    assert turned == {"2c-readout", "2c-variance"}


def test_such_runs_are_accepted_and_regressed(tmp_path):
    write_runs(tmp_path / "runs")
    folders = store.record_folders(tmp_path / "runs")
    assert len(accept(folders, tmp_path / "accepted")) == len(folders) == 3 * len(TYPICAL)

    def moved(where: str) -> set[str]:
        cells = regress(frames.load(tmp_path / where), frames.load(tmp_path / "accepted"))
        assert not any(cell.verdict == "not run" for cell in cells)
        return {cell.variant for cell in cells if cell.verdict == "moved"}

    assert moved("runs") == set()
    write_runs(tmp_path / "worse", accuracy={"bptt": 0.4})
    assert moved("worse") == {"bptt"}


def test_with_timit_s_own_runs_the_verdicts_are_theirs(tmp_path):
    write_runs(tmp_path / "both", accuracy=dict.fromkeys(TYPICAL, 0.9))
    for where in (tmp_path / "both", tmp_path / "timit"):
        write_runs(where, range(8), profile="paper", data=PAPER)
    both, timit = (judge(tmp_path / where, "fig2", ["2c"]) for where in ("both", "timit"))
    assert {r.id: r.verdict for r in both} == {r.id: r.verdict for r in timit}
    assert {r.verdict for r in timit if r.kind == "value"} == {"reproduced"}
    assert not any(r.substitute_note or "synthesised" in r.reason for r in both)
    fields = [field.name for field in dataclasses.fields(ClaimResult)]
    assert [list(row) for row in json.loads(as_json(both))] == [fields] * len(both)


def test_a_smaller_size_is_printed_with_its_value_and_gives_no_verdict(tmp_path):
    instead = {("toy", variant): ("not the paper's size (small)", ("made up",)) for variant in "abc"}
    value, order = check(claims(tmp_path, VALUE, ORDER), made_up(0.01, 0.02), HASHES, instead)
    assert value.verdict == order.verdict == "not run"
    assert (
        value.substitute_note.startswith("not the paper's size (small): mse mean 0.0")
        and "over 3 seeds" in value.substitute_note
    )
    assert "a < b holds" in order.substitute_note and "mse mean" not in order.substitute_note
    text = format_table([value, order], why=True)
    assert "none of the planned seeds): c0, c1 c0: not the paper's size (small)" in " ".join(text.split())
    paper = records({"a": around(0.01, 8), "b": around(0.02, 8, seed=1)})
    both = pd.concat([paper, made_up(0.02, 0.01)], ignore_index=True)
    assert not any(r.substitute_note for r in check(claims(tmp_path, VALUE, ORDER), both, HASHES, instead))  # control
