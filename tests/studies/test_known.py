"""What a committed table has need not be trained again."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.jobs.job import Job, JobState
from repro.jobs.queue import Queue
from repro.runs.config import config_hash
from repro.runs.registry import get_task
from repro.studies import report, table
from repro.studies.known import known
from repro.studies.study import Study
from repro.studies.studyfile import load
from tests.studies.conftest import GOOD, SEARCH
from tests.studies.test_table import SPEECH, run_of

LOST = {"status": "failed", "reason": "the loss is NaN", "metrics": {}}
UNFINISHED = {"status": "unfinished", "reason": "3 of 9"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "table.csv"
    monkeypatch.setattr(table, "path_of", lambda study: path)
    return path


def tabled(study: Study, results: Path) -> None:
    """A table of five runs of another machine: three finished, one lost, one unfinished."""
    elsewhere = results / "studies" / study.name / "runs"
    for job in study.search[:3]:
        run_of(study, elsewhere, job)
    run_of(study, elsewhere, study.search[3], **LOST)
    run_of(study, elsewhere, study.search[4], **UNFINISHED)
    table.write(study)
    elsewhere.rename(results.parent / "elsewhere")


def test_what_ended_is_known(study: Study, results: Path, path: Path) -> None:
    tabled(study, results)
    finished = JobState("finished", {"nmse": 100.1})
    lost = JobState("lost", reason="the loss is NaN")
    assert known(study) == {**dict.fromkeys(study.search[:3], finished), study.search[3]: lost}


def test_no_table(study: Study, path: Path) -> None:
    assert known(study) == {}


def test_a_damaged_number(study: Study, results: Path, path: Path) -> None:
    tabled(study, results)
    path.write_text(path.read_text().replace(",100.1,", ",a lot,", 1))
    with pytest.raises(UserError, match="is not a table of a_try .*'a lot'"):
        known(study)


def test_a_search_knows_its_points(write: Callable[[str], Path], results: Path, path: Path) -> None:
    study = load(write(SEARCH))
    job = Job((("v_th", 0.4321), ("learning_rate", 1e-3)), "e_prop_1", 101)
    run_of(study, results / "studies" / study.name / "runs", job)
    table.write(study)
    assert list(known(study)) == [job]
    assert study.points_in(known(study)) == [job.point]


def test_a_search_that_counts_hours(write: Callable[[str], Path], results: Path, path: Path) -> None:
    with pytest.raises(UserError, match="a_try ends after sampler.hours, and a table has no times"):
        known(load(write(f"{SEARCH}hours = 2.0\n")))


def test_a_pruned_run(study: Study, path: Path) -> None:
    table.write(study, pruned=study.search[:1])
    assert known(study) == {study.search[0]: JobState("pruned")}


def test_runs_on_other_data_are_to_be_made(write: Callable[[str], Path], results: Path, path: Path) -> None:
    study, task = load(write(SPEECH)), get_task("speech")
    here = task.data_of(task.resolve("e_prop_1", "quick", {}))
    data = {"": {}, **task.substitutes}
    names = [here, next(name for name in data if name != here)]
    for job, name in zip(study.search, names, strict=True):
        config = task.resolve("e_prop_1", "quick", study.overrides(job), data[name])
        fields = {"config": dataclasses.asdict(config), "config_hash": config_hash(config)}
        run_of(study, results / "studies" / study.name / "runs", job, **fields)
    table.write(study)
    assert sorted(row["data"] for row in table.read(study)) == sorted(names)
    assert list(known(study)) == study.search[:1]


def test_a_text_of_the_user_s_is_other_data(
    write: Callable[[str], Path], results: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PTB_DIR", raising=False)
    study = load(write(SPEECH.replace('"speech"', '"word_prediction"').replace("v_th", "init_scale")))
    here = results / "studies" / study.name / "runs"
    run_of(study, here, study.search[0])
    text = results / "data" / "text"
    text.mkdir(parents=True)
    for split in ("training", "validation", "test"):
        (text / f"{split}.txt").write_text(f"a {split}\n")
    run_of(study, here, study.search[1])
    table.write(study)
    assert len(table.read(study)) == 2
    assert known(study) == {}
    text.rename(results / "another")
    assert list(known(study)) == study.search[:1]  # control: the stand-in is the same everywhere


def test_only_the_others_are_in_the_queue(study: Study, results: Path, path: Path) -> None:
    tabled(study, results)
    queue = Queue(study)
    assert queue.adopt(known(study)) == 4
    queue.fill()
    names = [queue.states()[job].name for job in study.search]
    assert names == ["finished"] * 3 + ["lost"] + ["waiting"] * (len(study.search) - 4)
    assert queue.states()[study.search[0]].metrics == {"nmse": 100.1}
    files = report.write(study, queue.states(), study.folder)
    assert all(file.exists() for file in files)
    fresh = Queue(study, f"sqlite:///{results}/control.db")
    fresh.fill()
    assert {state.name for state in fresh.states().values()} == {"waiting"}  # control


def test_the_command(
    study: Study, results: Path, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tabled(study, results)
    toml = str(tmp_path / "a_try.toml")
    assert main(["sweep", toml, "--dry-run"]) == 0
    assert "for the 12 left" in capsys.readouterr().out
    assert main(["sweep", toml, "--dry-run", "--from-table"]) == 0
    assert "for the 8 left" in capsys.readouterr().out
    assert not (results / "studies").exists() or not list(results.glob("studies/a_try/*.log")), (
        "a dry run writes nothing"
    )
    assert main(["sweep", "table", toml, "--from-table"]) == 2
    assert "--from-table is for training" in capsys.readouterr().err


def test_a_study_whose_table_is_whole_trains_nothing(
    write: Callable[[str], Path], results: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = write(GOOD.replace("best = 1\nbest_seeds = [200]\n", "best = 0\n"))
    study = load(toml)
    for job in study.search:
        run_of(study, results / "studies" / study.name / "runs", job)
    table.write(study)
    (results / "studies").rename(results.parent / "elsewhere")
    assert main(["sweep", str(toml), "--from-table"]) == 0
    out = capsys.readouterr().out
    assert "12 of 12 runs are in sweeps" in out.replace(str(path), "sweeps")
    assert "nothing to train: every run is done" in out and "best: " in out
