"""The table of a study's runs, made of records that were never trained."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.errors import UserError
from repro.jobs.job import Job
from repro.runs.config import config_hash
from repro.runs.registry import get_task
from repro.studies import table
from repro.studies.study import Study
from repro.studies.studyfile import load
from tests.records.made_up import made_run
from tests.studies.conftest import SEARCH

SPEECH = """\
about = "made up"
task = "speech"
variants = "e_prop_1"
profile = "quick"
metric = "validation_accuracy"
direction = "maximize"
seeds = [100]
best = 0
[grid]
v_th = [0.4, 0.8]
"""


def run_of(study: Study, root: Path, job: Job, **changes: Any) -> Path:
    """The record that a job of the study would have."""
    task = get_task(study.task)
    config = task.resolve(job.variant, study.profile, study.overrides(job))
    fields = {"task": task.name, "variant": job.variant, "config": dataclasses.asdict(config)}
    fields |= {"config_hash": config_hash(config), "metrics": {"nmse": 0.1 + job.seed}}
    return made_run(root, job.seed, **fields | changes)


def test_a_row_has_the_study_s_keys(study: Study, tmp_path: Path) -> None:
    job = study.search[-1]
    folder = run_of(study, tmp_path, job, git_commit="ab" * 20, git_dirty=True)
    (row,) = table.rows_of(study, tmp_path)
    assert row == {
        "task": "pattern_generation", "variant": "e_prop_1", "seed": "101", "learning_rate": "0.003", "v_th": "0.9",
        "status": "finished", "reason": "", "nmse": "101.1", "commit": "abababababab+", "machine": "a processor",
        "config": folder.parent.name.rpartition("-")[2],
    }  # fmt: skip


def test_lost_runs_have_a_row_and_a_reason(study: Study, tmp_path: Path) -> None:
    run_of(study, tmp_path, study.search[0], status="failed", reason="the loss is NaN, at once", metrics={})
    (row,) = table.rows_of(study, tmp_path)
    assert (row["status"], row["reason"], "nmse" in row) == ("failed", "the loss is NaN, at once", False)


def test_runs_of_other_settings_are_left_out(study: Study, tmp_path: Path) -> None:
    other = dataclasses.replace(study, settings={"dampening": 0.5})
    more = dataclasses.replace(study, grid={**study.grid, "v_th": (0.5,)})
    run_of(other, tmp_path, study.search[0])
    run_of(more, tmp_path, Job((("learning_rate", 0.001), ("v_th", 0.5)), "e_prop_1", 100))
    run_of(study, tmp_path, dataclasses.replace(study.search[0], seed=7))
    assert table.rows_of(study, tmp_path) == []
    assert len(table.rows_of(other, tmp_path)) == len(table.rows_of(more, tmp_path)) == 1  # control


def test_rows_of_another_machine_stay(study: Study, results: Path, tmp_path: Path) -> None:
    path, here = tmp_path / "table.csv", results / "studies" / study.name / "runs"
    run_of(study, here, study.search[0])
    assert table.write(study, path) == table.Written(path, 1, 0)
    first = table.read(study, path)
    here.rename(tmp_path / "elsewhere")
    run_of(study, here, study.search[1], machine="another")
    run_of(study, here, study.search[2], status="failed", reason="a, b", metrics={})
    assert table.write(study, path) == table.Written(path, 3, 0)
    assert table.read(study, path)[0] == first[0]
    assert {row["machine"] for row in table.read(study, path)} == {"a processor", "another"}
    before = path.read_bytes()
    table.write(study, path)
    assert path.read_bytes() == before


def test_a_run_that_was_made_again_replaces_its_row(study: Study, results: Path, tmp_path: Path) -> None:
    path, here = tmp_path / "table.csv", results / "studies" / study.name / "runs"
    run_of(study, here, study.search[0])
    table.write(study, path)
    here.rename(tmp_path / "elsewhere")
    run_of(study, here, study.search[0], metrics={"nmse": 0.5})
    assert table.write(study, path) == table.Written(path, 1, 0)
    assert table.read(study, path)[0]["nmse"] == "0.5"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("finished", "done", "line 2: status = 'done'"),
        ("v_th", "vth", "no column v_th"),
        (",0.4,", ",0.41,", "line 2: v_th = '0.41'"),
        (",a processor", "", "line 2 has another number of columns"),
        (",a processor", ",a,b", "line 2 has another number of columns"),
        ("pattern_generation", "speech", "line 2: task = 'speech'"),
        (",100,", ",some,", "invalid literal"),
        (",config\n", ",settings\n", "no column config"),
    ],
)
def test_a_file_that_is_no_table_of_the_study(
    study: Study, results: Path, tmp_path: Path, old: str, new: str, why: str
) -> None:
    path = tmp_path / "table.csv"
    run_of(study, results / "studies" / study.name / "runs", study.search[0])
    table.write(study, path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=why):
        table.read(study, path)


def test_no_runs_and_no_table(study: Study, tmp_path: Path) -> None:
    assert table.read(study, tmp_path / "none.csv") == table.rows_of(study, tmp_path / "none") == []


def test_runs_on_other_data_than_the_paper_s_are_named(
    write: Callable[[str], Path], results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = get_task("speech")
    study = load(write(SPEECH))
    path, here = tmp_path / "table.csv", results / "studies" / study.name / "runs"
    for data in task.substitutes.values():
        config = task.resolve("e_prop_1", "quick", study.overrides(study.search[0]), data)
        run_of(study, here, study.search[0], config=dataclasses.asdict(config), config_hash=config_hash(config))
    config = task.resolve("e_prop_1", "quick", study.overrides(study.search[1]), {})
    run_of(study, here, study.search[1], config=dataclasses.asdict(config), config_hash=config_hash(config))
    table.write(study, path)
    assert [(row["v_th"], row["data"]) for row in table.read(study, path)] == [
        ("0.4", "synthesised speech in place of TIMIT"), ("0.8", "")
    ]  # fmt: skip
    monkeypatch.setattr(table, "path_of", lambda study: path)
    assert [row["v_th"] for row in table.read_paper(study)] == ["0.8"], "claims are judged on the paper's data alone"
    assert len(table.rows_of(study)) == 2
    path.write_text(path.read_text().replace("in place of TIMIT", "of TIMIT"))
    with pytest.raises(UserError, match="data = 'synthesised speech of TIMIT'"):
        table.read(study, path)


def test_a_study_that_names_its_data(write: Callable[[str], Path], results: Path, tmp_path: Path) -> None:
    study = load(write(SPEECH.replace("[grid]", '[settings]\ncorpus = "stand_in"\n[grid]')))
    run_of(study, results / "studies" / study.name / "runs", study.search[0])
    table.write(study, tmp_path / "table.csv", [study.search[1]])
    found = [(row["status"], row["data"]) for row in table.read(study, tmp_path / "table.csv")]
    assert sorted(found) == [(state, "synthesised speech in place of TIMIT") for state in ("finished", "pruned")]


def written_once(study: Study, results: Path, path: Path) -> list[table.Row]:
    """The rows of a table of the study's first three runs, which are then on another machine."""
    here = results / "studies" / study.name / "runs"
    for job in study.search[:3]:
        run_of(study, here, job)
    assert table.write(study, path).runs == 3
    here.rename(here.with_name("elsewhere"))
    return table.read(study, path)


@pytest.mark.parametrize(
    ("changes", "left", "name"),
    [
        ({"settings": {"iterations": 7}}, 0, "config"),
        ({"profile": "quick"}, 0, "config"),
        ({"seeds": (101, 102)}, 0, "seed"),
        ({"grid": {"learning_rate": (0.001,), "v_th": (0.4, 0.61)}}, 2, "v_th"),
        ({"variants": ("bptt",)}, 0, "variant"),
        ({"about": "in other words", "seeds": (100, 101, 102)}, 3, ""),  # control
    ],
)
def test_rows_of_a_study_before_it_was_changed_are_refused_and_left_out(
    study: Study, results: Path, tmp_path: Path, changes: dict[str, Any], left: int, name: str
) -> None:
    path = tmp_path / "table.csv"
    before = written_once(study, results, path)
    now = dataclasses.replace(study, **changes)
    if name:
        with pytest.raises(UserError, match=f"line [24]: {name} = .*`repro sweep table a_try` leaves such rows out"):
            table.read(now, path)
    assert table.write(now, path) == table.Written(path, left, 3 - left)
    assert table.read(now, path) == before[:left]


def test_a_run_that_ended_elsewhere_is_not_replaced_by_its_beginning_here(
    study: Study, results: Path, tmp_path: Path
) -> None:
    path, here = tmp_path / "table.csv", results / "studies" / study.name / "runs"
    before = written_once(study, results, path)
    for job in study.search[:2]:
        run_of(study, here, job, status="unfinished", reason="3 of 9", metrics={})
    assert table.write(study, path, pruned=study.search[1:3]) == table.Written(path, 3, 0)
    assert table.read(study, path) == before
    run_of(study, here, study.search[2], status="failed", reason="the loss is NaN", metrics={})  # control: it ended
    table.write(study, path)
    assert [row["status"] for row in table.read(study, path)].count("failed") == 1


def test_a_run_that_was_stopped_early_is_not_an_unfinished_one(study: Study, results: Path, tmp_path: Path) -> None:
    path, here = tmp_path / "table.csv", results / "studies" / study.name / "runs"
    run_of(study, here, study.search[0], status="unfinished", reason="3 of 9", metrics={})
    assert table.write(study, path) == table.Written(path, 0, 0)
    assert table.write(study, path, pruned=study.search[:1]) == table.Written(path, 1, 0)
    assert [row["status"] for row in table.read(study, path)] == ["pruned"]


def test_a_run_with_two_lines(study: Study, results: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    written_once(study, results, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[2].replace("finished", "unfinished")]))
    with pytest.raises(UserError, match="line 3 is of a run that has another line"):
        table.read(study, path)


def test_a_metric_that_has_a_column_s_name(study: Study, tmp_path: Path) -> None:
    run_of(study, tmp_path, study.search[0], metrics={"v_th": 7.0, "nmse": 1.0})
    (row,) = table.rows_of(study, tmp_path)
    assert (row["v_th"], row["nmse"]) == ("0.4", "1")


def test_a_whole_number_that_is_none(write: Callable[[str], Path], results: Path, tmp_path: Path) -> None:
    study = load(write(SEARCH.replace("v_th = {low = 0.2, high = 2.0, log = true}", "n_rec = {low = 10, high = 30}")))
    path, job = tmp_path / "table.csv", Job((("n_rec", 20), ("learning_rate", 1e-3)), "e_prop_1", 100)
    run_of(study, results / "studies" / study.name / "runs", job)
    table.write(study, path)
    assert table.job_of(study, table.read(study, path)[0]) == job
    path.write_text(path.read_text().replace(",20,", ",20.0,"))
    with pytest.raises(UserError, match="is not a table of .*'20.0'"):
        table.read(study, path)


def test_a_run_on_a_text_of_the_user_s_is_of_the_study_on_any_machine(
    write: Callable[[str], Path], results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PTB_DIR", raising=False)
    path, text = tmp_path / "table.csv", results / "data" / "text"
    text.mkdir(parents=True)
    for split in ("training", "validation", "test"):
        (text / f"{split}.txt").write_text(f"a {split}\n")
    study = load(write(SPEECH.replace('"speech"', '"word_prediction"').replace("v_th", "init_scale")))
    run_of(study, results / "studies" / study.name / "runs", study.search[0])
    table.write(study, path)
    (row,) = table.read(study, path)
    assert row["data"] == "a text of your own in place of Penn Treebank"
    (text / "test.txt").unlink()
    assert table.read(study, path) == [row]
