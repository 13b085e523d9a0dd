"""`repro readings` and `repro sweep table` as they are called: files, lines, exit status."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.claims import multiverse
from repro.cli.main import main
from repro.records import store
from repro.studies import table, universe
from repro.studies.study import Study
from repro.studies.studyfile import load
from repro.studies.universe import Universe
from tests.studies.conftest import results as results
from tests.studies.conftest import write as write
from tests.studies.test_readings import PLAIN, STUDY
from tests.studies.test_table import run_of


@pytest.fixture
def study(results: Path, write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of figure 1 in a separate checkout; the only one whose points are readings."""
    path = write(STUDY)
    home = tmp_path / "checkout"
    shutil.copytree(store.HOME / "docs", home / "docs", ignore=lambda folder, names: names)
    monkeypatch.setattr(store, "HOME", home)
    monkeypatch.setattr(multiverse, "HOLDS_IN", home / "holds_in.json")
    universes: list[Universe] = [dataclasses.replace(PLAIN, study=load(path))]
    monkeypatch.setattr(universe, "load", lambda: universes)
    return universes[0].study


def train(study: Study, **values: float) -> None:
    """Make every run up, e-prop 1's with this error by reading."""
    for job in study.search:
        nmse = values[str(dict(job.point)["rate_loss"])] if job.variant == "e_prop_1" else 0.5
        metrics = {"nmse": nmse, "nmse_500": nmse, "rate_hz": 10.0}
        run_of(study, store.study_folder(study.name) / "runs", job, metrics=metrics)


def test_from_runs_to_the_line_of_a_claim(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(study, sum_khz=0.5, sum_hz=0.012, population_hz=0.3)
    assert main(["sweep", "table", str(tmp_path / "a_try.toml")]) == 0
    assert capsys.readouterr().out.startswith("27 of 27 runs in ")
    assert len(table.read(study)) == 27
    assert main(["readings"]) == 0
    out = capsys.readouterr().out
    assert "1d-eprop1   holds in 1 of 3 readings: reading-dependent" in out
    docs = store.HOME / "docs"
    assert {path.name for path in docs.iterdir()} == {"readings.md", "readings_fig1.svg"}
    assert main(["check", "--records", "runs", "--figure", "fig1", "--markdown", "--why"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 1d-eprop1")]
    assert "holds in 1 of 3 readings: reading-dependent" in row


def test_one_figure_leaves_the_results_of_the_others(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = universe.load()
    second = dataclasses.replace(first, figure="fig2")
    monkeypatch.setattr(universe, "load", lambda: [first, second])
    reading = multiverse.Reading(figure="fig2", study="a_try", name="", values="v_th=1", roles=[])
    kept = multiverse.ReadingResult("2a-bptt", reading, "yes", "")
    multiverse.write_results([kept])
    assert main(["readings", "--figure", "fig1"]) == 0
    assert kept in multiverse.read_results()
    assert main(["readings"]) == 0
    assert kept not in multiverse.read_results()  # control


def test_without_runs_nothing_is_counted(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["readings", "--figure", "fig1"]) == 0
    assert "1d-eprop1   no reading is finished" in capsys.readouterr().out
    assert [path.name for path in (store.HOME / "docs").iterdir()] == ["readings.md"]
    assert main(["check", "--records", "runs", "--figure", "fig1", "--markdown", "--why"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 1d-eprop1")]
    assert "reading chosen among 96" in row and "holds in" not in row


def test_an_unknown_figure_writes_nothing(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["readings", "--figure", "fig9"]) == 2
    assert "unknown figure 'fig9'" in capsys.readouterr().err
    assert list((store.HOME / "docs").iterdir()) == []


def test_outside_a_checkout(study: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(store, "in_checkout", lambda: False)
    assert main(["readings"]) == 2
    assert "the readings belong to a checkout" in capsys.readouterr().err
    assert list((store.HOME / "docs").iterdir()) == []


def test_a_study_that_was_changed_is_judged_without_its_old_rows(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a_try.toml"
    train(study, sum_khz=0.5, sum_hz=0.012, population_hz=0.3)
    assert main(["sweep", "table", str(path)]) == 0
    before = table.path_of(study).read_bytes()
    path.write_text(STUDY.replace("seeds = [100, 101, 102]", "seeds = [100, 101]"))
    monkeypatch.setattr(universe, "load", lambda: [dataclasses.replace(PLAIN, study=load(path))])
    assert main(["readings"]) == 2
    assert "seed = '102' is not of a_try as its file is now" in capsys.readouterr().err
    assert table.path_of(study).read_bytes() == before and list((store.HOME / "docs").iterdir()) == []
    assert main(["sweep", "table", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("18 of 18 runs in ") and "left out: 9 rows of other seeds, values or settings" in out
    assert main(["readings"]) == 0
