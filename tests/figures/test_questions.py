"""The page of questions: its numbers on made-up runs of known answer, and the committed page."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paper_figures.questions import QUESTIONS, alignment, estimates, horizon, rates, sources, write
from paper_figures.questions.alignment import Runs
from paper_figures.questions.page import page
from paper_figures.questions.sources import Sources, planned, times
from repro.cli.main import main
from repro.records import store
from repro.runs.config import config_hash
from repro.runs.registry import get_task
from repro.studies import studyfile, table
from repro.studies.table import Row
from tests.records.made_up import made_run

NONE = np.zeros(0)
RATES = studyfile.load(studyfile.find("pattern_generation_rates"))


def of(alignments: list[float], iterations: list[float]) -> Runs:
    values = np.array(iterations)
    return Runs(np.array(alignments), np.minimum(values, 500), values > 500)


def test_times_are_censored_where_a_run_was_given_up_lost_or_is_later_than_asked() -> None:
    runs = pd.DataFrame(
        {
            "status": ["finished", "finished", "failed", "finished"],
            "iterations": [40.0, 500.0, np.nan, 900.0],
            "iterations_at_least": [0.0, 1.0, np.nan, 0.0],
        }
    )
    values, censored = times(runs)
    assert values.tolist() == [40, 500, np.inf, 900] and censored.tolist() == [False, True, True, False]
    values, censored = times(runs, 500)
    assert values.tolist() == [40, 500, 500, 500] and censored.tolist() == [False, True, True, True]


def test_alignment_decides_only_where_it_does() -> None:
    nobody = Runs(NONE, NONE, np.zeros(0, bool))
    spread = np.linspace(-0.4, 0.4, 12).tolist()
    falling = of(spread, [2000, 2000, 400, 300, 200, 100, 90, 80, 70, 60, 50, 40])
    assert alignment._correlation(falling)[0] < -0.95
    assert alignment._verdict(falling, nobody) == "The initial alignment of B and W_out matters."
    shuffled = of(spread, [60, 2000, 40, 300, 90, 2000, 70, 100, 400, 50, 200, 80])
    assert alignment._verdict(shuffled, nobody) == "The initial alignment of B and W_out is not shown to matter."
    picked = of([-0.4] * 6 + [0.4] * 6, [2000] * 5 + [300] + [40, 50, 60, 45, 55, 65])
    assert alignment._verdict(falling, picked) == "The initial alignment of B and W_out matters."
    assert "matters where it is extreme, and explains little" in alignment._verdict(shuffled, picked)
    assert "5 did not solve" in alignment._of_chosen(picked) and "0 (a median of 52 iterations" in (
        alignment._of_chosen(picked)
    )


def test_networks_that_cannot_be_compared_get_no_p() -> None:
    """Those with a bad alignment were all given up after 30 iterations, before any of the others solved the task."""
    bad, good = of([-0.4] * 3, [30] * 3), of([0.4] * 3, [40, 50, 60])
    picked = alignment._joined(bad._replace(failed=np.ones(3, bool)), good)
    assert alignment._of_chosen(picked).endswith("(0.40 to 0.40), 0 (a median of 50 iterations).")
    assert "is not shown to matter" in alignment._verdict(good, picked)
    early = alignment._joined(bad._replace(failed=np.ones(3, bool)), of([0.4] * 3, [20, 50, 60]))
    assert "(a median of 50 iterations; log-rank p = 0." in alignment._of_chosen(early)  # control


def test_alignment_counts_failures_by_sign_by_size_and_later_solutions() -> None:
    small = of([-0.3, -0.2, 0.1, 0.2], [2000, 2000, 2000, 80])
    assert alignment._of_signs(small) == (
        "Of networks with a negative alignment 2 of 2 fail, of those with a positive one 1 of 2."
    )
    sizes = {20: small, 40: of([0.1] * 4, [50] * 4), 80: of([0.1] * 4, [60] * 4)}
    # Fisher by hand, of 12 networks 3 fail, all among the 4 small ones: 4 of 220 triples
    assert "3 of 4 networks fail with 20 neurons, 0 of 4 networks fail with 40 neurons" in alignment._of_sizes(sizes)
    assert f"p = {4 / 220:.1g}" in alignment._of_sizes(sizes)
    nobody = Runs(NONE, NONE, np.zeros(0, bool))
    assert "Fisher" not in alignment._of_sizes({20: small, 40: nobody, 80: nobody})
    runs = pd.DataFrame(
        {
            "status": ["finished", "finished", "finished", "failed"],
            "iterations": [40.0, 900.0, 2000.0, np.nan],
            "iterations_at_least": [0.0, 0.0, 1.0, np.nan],
        }
    )
    assert alignment._later(runs) == (
        "Of 2 networks that were trained on beyond 500 iterations, 1 solved the task by iteration 2000."
    )
    assert alignment._later(runs[:1]) == ""


def test_the_last_share_names_the_networks_that_it_rests_on() -> None:
    values, censored = np.array([100.0, 500, 900, 2000, np.inf]), np.array([False, True, False, True, True])
    assert "rests on 2 networks that were trained on beyond iteration 500, of which 1 " in (
        horizon._longest(values, censored)
    )
    assert horizon._longest(values[:2], censored[:2]) == ""


def test_shares_solved_by_a_horizon() -> None:
    values, censored = np.array([100.0, 300, 500, 500]), np.array([False, False, True, True])
    shares = [horizon.solved((values, censored), by) for by in (50, 200, 500)]
    assert [found[0] if found else None for found in shares] == [0, 0.25, 0.5]
    assert horizon.solved((NONE, np.zeros(0, bool)), 200) is None


def test_a_finished_run_counts_before_the_same_run_unfinished_in_an_earlier_folder(tmp_path: Path) -> None:
    task = get_task("store_recall")
    config = task.resolve("bptt", "paper", data={})
    run = {"task": task.name, "variant": "bptt", "config": vars(config), "config_hash": config_hash(config)}
    made_run(tmp_path / "one", **run, status="unfinished", reason="1 of 2000 iterations", metrics={})
    made_run(tmp_path / "two", **run, metrics={"iterations": 40.0})
    made_run(tmp_path / "three", **run, metrics={"iterations": 50.0})
    found = Sources((tmp_path / "one", tmp_path / "two", tmp_path / "three")).runs(task.name)
    assert found.iterations.tolist() == [40]
    assert Sources((tmp_path / "one", tmp_path / "three", tmp_path / "two")).runs(task.name).iterations.tolist() == [50]


def test_seeds_and_what_is_planned() -> None:
    runs = pd.DataFrame({"variant": ["bptt"] * 12, "seed": range(4, 16)})
    assert planned("store_recall", runs).startswith("34 of the 40 records of store_recall planned for seeds 10-49")
    assert planned("store_recall", pd.DataFrame({"variant": ["bptt"] * 40, "seed": range(10, 50)})) == ""


def rows(values: dict[str, tuple[float, float, float]]) -> list[Row]:
    """The table of the study of rates with these values of a bar at each rate; other bars have no runs."""
    return [
        {"task": RATES.task, "variant": variant, "seed": str(seed), "learning_rate": str(rate), "status": "finished"}
        | {"reason": "", "nmse": str(value), "commit": "abc", "machine": "cpu"}
        for variant, of_rates in values.items()
        for rate, value in zip(RATES.grid["learning_rate"], of_rates, strict=True)
        for seed in RATES.seeds
    ]


def test_an_order_at_each_rate_and_at_the_best_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rows({"e_prop_1": (0.5, 0.1, 0.4), "bptt": (0.2, 0.3, 0.05), "binary": (0.6, 0.2, 0.3)})
    monkeypatch.setattr(table, "read", lambda study: made)
    monkeypatch.setattr(rates, "judge", lambda universe, claims, read=table.read_paper: JUDGE(universe, claims, read))
    lines = {line[1]: [cell.split(" (")[0] for cell in line[3:]] for line in rates._orders(rates.PANELS[0], RATES)}
    assert lines["1e-bptt"] == ["holds", "does not hold", "holds", "holds"]
    assert lines["1d-binary"] == ["holds", "holds", "does not hold", "holds"]
    assert set(lines) == {"1e-bptt", "1d-binary"}  # of bars without runs nothing is said
    made.remove(next(row for row in made if row["variant"] == "bptt"))
    lines = {line[1]: line[3:] for line in rates._orders(rates.PANELS[0], RATES)}
    assert lines["1e-bptt"][0] == lines["1e-bptt"][3] == ""  # a run is missing: neither that rate nor the best one


def test_methods_that_end_alike_are_no_order_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rows({"e_prop_1": (0.5, 0.1, 0.4), "bptt": (0.5, 0.1, 0.4), "binary": (0.6, 0.2, 0.3)})
    monkeypatch.setattr(table, "read", lambda study: made)
    monkeypatch.setattr(rates, "judge", lambda universe, claims, read=table.read_paper: JUDGE(universe, claims, read))
    lines = rates._orders(rates.PANELS[0], RATES)
    (bptt,) = [line for line in lines if line[1] == "1e-bptt"]
    assert bptt[3] == "alike (0.5 and 0.5)"
    text = rates._short(lines, [])
    assert "best: 0 of 1 of 1d. In 1e-bptt the methods end alike" in text


def test_a_method_that_is_alike_at_all_rates_is_not_best_at_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rows({"e_prop_1": (0.5, 0.1, 0.4), "bptt": (0.2, 0.3, 0.05), "binary": (0.3, 0.3, 0.3)})
    monkeypatch.setattr(table, "read", lambda study: made)
    assert rates._at_the_edge(rates.PANELS[0], RATES) == "1 of 2 methods of 1d"


JUDGE = rates.judge


def test_ratios_of_both_estimates() -> None:
    frame = pd.DataFrame({"explained_30": [0.5, 0.6], "explained_100": [0.0, 0.1]})
    for n, (ours, theirs) in {30: (1.0, 2.0), 100: (3.0, 2.0)}.items():
        frame = frame.assign(**{f"e_prop_3_used_{n}": ours, f"bptt_used_{n}": [theirs, 2 * theirs]})
    assert estimates.after(frame) == [30, 100]
    assert estimates.ratios(frame, "used").tolist() == [[0.5, 1.5], [0.25, 0.75]]


def test_the_page_without_any_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made up where there is nothing."""
    monkeypatch.setattr(sources.table, "read", lambda study: [])
    (tmp_path / "records").mkdir()
    files = write([tmp_path / "records"], tmp_path / "docs")
    text = (tmp_path / "docs" / "questions.md").read_text()
    assert len(files) == len(QUESTIONS) + 1 and text.count("Not known yet") >= 4
    assert "nan" not in text


def test_the_page_from_the_accepted_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [question.answer(Sources(("accepted",))) for question in QUESTIONS]
    text = page(answers)
    assert text == (store.HOME / "docs" / "questions.md").read_text(encoding="utf-8"), "run `repro questions`"
    for number, answer in enumerate(answers, 1):
        assert f"## {number}. {answer.question}" in text and f"]({answer.name}.svg)" in text
        assert round(answer.figure.get_figwidth() * 25.4) == 180
    assert str(store.HOME) not in text and "nan" not in re.sub(r"[a-z]nan", "", text)


def test_the_committed_page_has_its_figures() -> None:
    docs = store.HOME / "docs"
    names = re.findall(r"\]\((question_\w+\.svg)\)", (docs / "questions.md").read_text())
    assert len(names) == len(QUESTIONS) and all((docs / name).is_file() for name in names)


def test_a_folder_that_is_not_there_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (store.HOME / "docs" / "questions.md").read_bytes()
    assert main(["questions", "--records", f"accepted,{tmp_path / 'none'}"]) == 2
    assert "no folder" in capsys.readouterr().err
    assert (store.HOME / "docs" / "questions.md").read_bytes() == before
