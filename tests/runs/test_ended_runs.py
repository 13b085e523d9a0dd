"""What is called again after the last iteration of a run, with or without its record."""

import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

import repro.runs.run as running
from repro.errors import RunFailed
from repro.records.record import RECORD, RunRecord, read_arrays, read_record
from repro.runs.checkpoints import LAST
from repro.runs.provenance import git_state
from repro.runs.recorder import Recorder
from repro.runs.run import run
from repro.runs.task import Task
from tasks import get_task

SOLVED_AT_ONCE = {"solved_error": "1.0"}  # in the first iteration, which has a checkpoint
SILENT = {"iterations": "3", "v_th": "100000"}


def record_folder(out: Path) -> Path:
    (folder,) = out.glob("*/*/seed-*")
    return folder


def test_a_run_that_has_solved_its_task_is_not_trained_on(tmp_path: Path) -> None:
    def train() -> tuple[RunRecord, int]:
        record = run(get_task("store_recall"), "e_prop_1", "smoke", 0, SOLVED_AT_ONCE, tmp_path, loggers=())
        return record, len(read_arrays(record_folder(tmp_path), record)["loss"])

    whole, iterations = train()
    (record_folder(tmp_path) / RECORD).unlink()  # as if killed before it was written
    assert (record_folder(tmp_path) / LAST).exists()
    again, iterations_again = train()
    assert (iterations, iterations_again) == (1, 1)
    assert (again.weights_sha256, again.arrays_sha256) == (whole.weights_sha256, whole.arrays_sha256)


class Interrupted(pl.Callback):
    """Ctrl-C after the last iteration."""

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        raise KeyboardInterrupt


def test_a_network_that_ended_silent_has_failed_also_if_interrupted_after_its_last_iteration(tmp_path: Path) -> None:
    task = get_task("pattern_generation")
    with pytest.raises(KeyboardInterrupt):
        run(task, "e_prop_1", "smoke", 0, SILENT, tmp_path, callbacks=[Interrupted()], loggers=())
    with pytest.raises(RunFailed, match="dead network: no spike in 3 iterations"):
        run(task, "e_prop_1", "smoke", 0, SILENT, tmp_path, loggers=())


def test_a_final_number_that_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, load, final = get_task("pattern_generation"), Task.load, {"nmse": math.inf, "other": 1.0}
    monkeypatch.setattr(Task, "load", lambda self, what: (lambda *_: final) if what == "summary" else load(self, what))
    with pytest.raises(RunFailed, match="nmse is not finite: training diverged"):
        run(task, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path / "a", loggers=())
    record = read_record(record_folder(tmp_path / "a"))
    assert (record.status, record.metrics) == ("failed", {})
    final["nmse"] = 0.5  # control
    assert run(task, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path / "b", loggers=()).metrics == final


def test_a_run_that_another_process_ends_in_the_meantime_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, settings = get_task("pattern_generation"), {"iterations": "3"}
    load = type(task).load
    ended: list[RunRecord] = []

    def load_slowly(self: Any, name: str) -> Any:
        if name == "data" and not ended:
            monkeypatch.setattr(type(task), "load", load)
            ended.append(run(task, "e_prop_1", "smoke", 0, settings, tmp_path, loggers=()))
        return load(self, name)

    monkeypatch.setattr(type(task), "load", load_slowly)
    late = run(task, "e_prop_1", "smoke", 0, settings, tmp_path, loggers=())
    assert late.record_sha256 == ended[0].record_sha256 and len(late.parts) == 1


class AsksWhenTrainingStarts(pl.Callback):
    """Whether the commit was known before the first iteration."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        assert git_state.cache_info().currsize == 1


def test_the_commit_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, settings, known = get_task("pattern_generation"), {"iterations": "3"}, [AsksWhenTrainingStarts()]
    git_state.cache_clear()
    run(task, "e_prop_1", "smoke", 0, settings, tmp_path / "a", callbacks=known, loggers=())
    git_state.cache_clear()
    monkeypatch.setattr(running, "git_state", lambda: None)  # control
    with pytest.raises(AssertionError):
        run(task, "e_prop_1", "smoke", 0, settings, tmp_path / "b", callbacks=known, loggers=())


def test_control_the_last_check_is_what_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "check_end", lambda *_: None)
    record = run(get_task("pattern_generation"), "e_prop_1", "smoke", 0, SILENT, tmp_path, loggers=())
    assert record.status == "finished"
