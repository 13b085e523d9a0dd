"""The heartbeat of a run, and the state that is read from a run's folder."""

import fcntl
import json
import math
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from repro.cli.runs import details
from repro.errors import UserError
from repro.records.progress import PROGRESS, read_progress, write_progress
from repro.records.record import LOCK, RECORD, append_journal
from repro.records.status import RunStatus, journal, status_of
from repro.runs.run import run
from tasks.pattern_generation.config import TASK


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "pattern_generation" / "e_prop_1-0123abcd" / "seed-3"
    folder.mkdir(parents=True)
    return folder


def elsewhere(folder: Path, **changes: Any) -> None:
    """Progress as another machine would have written it."""
    write_progress(folder, 7, 20, {"loss": 0.5}, 26.0)
    data = json.loads((folder / PROGRESS).read_text()) | {"host": "another-machine", "pid": 1} | changes
    (folder / PROGRESS).write_text(json.dumps(data))


def ended_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_is_written_is_read(folder: Path) -> None:
    write_progress(folder, 7, 20, {"loss": 0.5, "nmse": math.nan}, math.nan)
    progress = read_progress(folder)
    assert progress is not None
    assert (progress.iteration, progress.iterations, progress.metrics) == (7, 20, {"loss": 0.5})
    assert math.isnan(progress.seconds_left) and progress.pid == os.getpid()
    assert [path.name for path in folder.iterdir()] == [PROGRESS]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 100_000, '{"iteration": 1}', "\x00" * 50, '{"iteration": ' + "9" * 5000 + "}"],
)
def test_a_damaged_file_is_named(folder: Path, text: str) -> None:
    (folder / PROGRESS).write_text(text)
    with pytest.raises(UserError, match=r"progress\.json"):
        read_progress(folder)
    status = status_of(folder)
    assert status.state == "interrupted" and PROGRESS in details(status) and "\n" not in details(status)


def test_a_folder_or_a_link_in_its_place(folder: Path) -> None:
    assert read_progress(folder) is None
    (folder / PROGRESS).mkdir()
    with pytest.raises(UserError, match="should be a file"):
        read_progress(folder)
    write_progress(folder, 1, 2, {}, 1.0)  # a failure to write is no failure of the run
    (folder / PROGRESS).rmdir()
    (folder / "other").write_text("{}")
    (folder / PROGRESS).symlink_to(folder / "other")
    with pytest.raises(UserError, match="is not one that we wrote"):
        read_progress(folder)


def test_a_run_on_another_machine_is_running_while_its_news_are_fresh(folder: Path) -> None:
    elsewhere(folder)
    assert status_of(folder).state == "running"
    elsewhere(folder, time=time.time() - 3600)
    assert status_of(folder).state == "interrupted"


def test_slow_iterations_are_no_silence(folder: Path) -> None:
    elsewhere(folder, time=time.time() - 3600, seconds_left=13 * 1000.0)  # 1000 s an iteration
    assert status_of(folder).state == "running"


def test_a_process_of_this_machine_that_has_ended_is_interrupted_at_once(folder: Path) -> None:
    elsewhere(folder, host=socket.gethostname(), pid=ended_pid())
    assert status_of(folder).state == "interrupted"
    elsewhere(folder, host=socket.gethostname(), pid=os.getpid())
    assert status_of(folder).state == "running"


def test_the_lock_counts_without_progress(folder: Path) -> None:
    (folder / LOCK).touch()
    assert status_of(folder).state == "interrupted"
    with (folder / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert status_of(folder).state == "running"


def test_a_run_that_ends_while_it_is_looked_at_is_not_interrupted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record appears after the first look, and before its lock is tried."""
    from repro.records import status

    looks: list[str] = []

    def look(there: Path) -> status.RunStatus:
        looks.append("look")
        return status.RunStatus(there, "interrupted" if len(looks) == 1 else "finished")

    monkeypatch.setattr(status, "_look", look)
    assert status_of(folder).state == "finished" and len(looks) == 2


def test_the_journal_without_its_torn_line(folder: Path) -> None:
    append_journal(folder, "started", time="noon")
    with (folder / "journal.jsonl").open("a") as file:
        file.write('[1]\n{"event": 3}\n{"event": "resu')
    assert journal(folder) == [{"event": "started", "time": "noon"}]


class Look(pl.Callback):
    """Notes the state of the run during training."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.states: list[RunStatus] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        (folder,) = self.out.glob("*/*/seed-*")
        self.states.append(status_of(folder))


def test_a_run_in_training_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.runs.recorder.EVERY_SECONDS", 0.0)
    look = Look(tmp_path)
    run(TASK, "e_prop_1", "smoke", 0, {"iterations": "5"}, tmp_path, callbacks=[look])
    assert {status.state for status in look.states} == {"running"}
    done = [status.progress.iteration for status in look.states if status.progress]
    assert done == [1, 2, 3, 4, 5]
    assert all(status.progress and status.progress.iterations == 5 for status in look.states)
    assert look.states[-1].progress and look.states[-1].progress.seconds_left == 0
    (folder,) = tmp_path.glob("*/*/seed-*")
    assert status_of(folder).state == "finished"
    assert (folder / RECORD).exists()
