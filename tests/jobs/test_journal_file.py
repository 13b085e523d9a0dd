"""A journal that a kill has damaged is read again, and its lock is freed."""

import json
import os
from pathlib import Path

import pytest
from optuna.storages.journal import JournalFileBackend

from repro.errors import UserError
from repro.jobs import journal_file
from repro.jobs.journal_file import MendingLock, mend, open_journal, repair
from repro.jobs.queue import Queue
from repro.jobs.trials import JOB
from repro.records.store import QUEUE
from repro.studies.study import Study
from tests.studies.conftest import FAST

WHOLE = b'{"op_code": 0}\n{"op_code": 4, "user_attr": {"why": "a {brace"}}\n'
TORN = b'{"op_code": 8, "user_attr": {"lease": {"wor'


@pytest.mark.parametrize(
    ("end", "mended"), [(TORN, b""), (b'{"op_code": 6}', b'{"op_code": 6}\n'), (b"\0" * 9, b""), (b"", b"")]
)
def test_a_torn_last_line_is_ended(tmp_path: Path, end: bytes, mended: bytes) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(WHOLE + end)
    mend(path)
    assert path.read_bytes() == WHOLE + mended


def test_a_line_that_is_torn_while_the_queue_is_open(study: Study) -> None:
    queue, other = Queue(study, None, FAST), Queue(study, None, FAST)
    queue.fill()
    path = study.folder / QUEUE
    with path.open("ab") as file:
        file.write(TORN)  # a third process died here
    attempt = other.take()
    assert attempt is not None
    other.finish(attempt, {"nmse": 1.0})
    assert queue.states() == Queue(study, None, FAST).states()
    assert queue.states()[attempt.job].name == "finished"


def test_control_optuna_alone_appends_to_the_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(WHOLE + TORN)
    backend = JournalFileBackend(str(path))
    backend.append_logs([{"op_code": 6}, {"op_code": 6}])
    with pytest.raises(json.JSONDecodeError):
        list(backend.read_logs(0))


def test_a_whole_line_behind_a_torn_one_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(WHOLE + TORN + WHOLE)
    backend = open_journal(path)
    assert path.read_bytes() == WHOLE + b" " * len(TORN) + WHOLE
    assert [log["op_code"] for log in backend.read_logs(0)] == [0, 4, 0, 4]


def test_a_line_beyond_repair_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(WHOLE + TORN + b"\n" + WHOLE)
    with pytest.raises(UserError, match="line 3 of .* is damaged; move the file away and run the same command again"):
        repair(path)
    assert path.read_bytes() == WHOLE + TORN + b"\n" + WHOLE


@pytest.mark.parametrize("target", ["journal.log", "/no/such/folder/journal.log"])
def test_a_lock_that_points_nowhere_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """As Optuna leaves it after a kill, where it was given a relative path, or the folder has moved."""
    waits: list[float] = []
    monkeypatch.setattr(journal_file.time, "sleep", waits.append)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "queue.log").write_bytes(WHOLE)
    (folder / "queue.log.lock").symlink_to(target)
    assert len(list(open_journal(folder / "queue.log").read_logs(0))) == 2
    assert waits == [journal_file.DANGLING_SECONDS], "it waited as for a lock whose holder may live"
    assert not os.path.lexists(folder / "queue.log.lock")


def test_a_relative_path_is_that_of_the_folder_in_which_it_was_given(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    queue = Queue(study, "queue.log", FAST)
    monkeypatch.chdir("/")
    queue.fill()
    assert len(queue.trials()) == len((tmp_path / "queue.log").read_text().split(JOB)) - 1 == study.size - 1


def test_a_lock_that_was_taken_away_is_not_released_twice(tmp_path: Path) -> None:
    lock = MendingLock(tmp_path / "journal.log")
    assert lock.acquire()
    os.unlink(tmp_path / "journal.log.lock")  # another process held us for dead
    lock.release()
    assert lock.acquire()
