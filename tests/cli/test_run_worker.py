"""Workers that train one run after the other: real ones, and what ends them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repro.cli import reproduce
from repro.cli.main import main
from repro.jobs.plan import PlannedRun, plan
from repro.jobs.pool import Pool, Words, run_words
from repro.jobs.processes import repro
from repro.jobs.run_process import Order, RunProcess
from repro.records import store
from repro.records.progress import read_progress
from repro.records.record import read_record
from repro.records.status import is_locked, journal
from repro.runs.checkpoints import LAST
from repro.runs.registry import get_task
from repro.text import LiveLine

WORKER = repro("reproduce", "fig1", "--worker")
PATIENCE = 200.0
LONG, DEAD = ["--set", "iterations=3000"], ["--set", "v_th=1e6", "--set", "iterations=25"]
# A worker whose runs end as their first word says.
PRETENDS = """
import repro.cli.main as command_line
from repro.cli.run_worker import serve

def pretended(words):
    if not words[0].isdigit():
        raise {"memory": MemoryError, "bug": ZeroDivisionError}[words[0]]
    return int(words[0])

command_line.main = pretended
raise SystemExit(serve())
"""
# What `repro reproduce` does, with a first run that ends and a second one that does not.
PLAN = """
import sys
from tests.cli.test_run_worker import jobs_of, train
raise SystemExit(train(jobs_of(2), {1: ["--set", "iterations=3000"]}))
"""


@pytest.fixture(autouse=True)
def here(results: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Processes that are started write to the test's folder too."""
    monkeypatch.setenv("REPRO_RESULTS", str(results))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return results


def jobs_of(number: int) -> list[PlannedRun]:
    return plan([get_task("pattern_generation")], "smoke")[:number]


def words_of(jobs: list[PlannedRun], settings: dict[int, list[str]]) -> Words:
    """The command lines of the jobs, some with other settings, below the jobs' own folders all the same."""
    usual = run_words("cpu", ())
    return lambda job: [*usual(job), *settings.get(jobs.index(job), [])]


def train(jobs: list[PlannedRun], settings: dict[int, list[str]]) -> int:
    """Train the jobs in one worker; how many failed."""
    ends = Pool(WORKER, words_of(jobs, settings), 1).run_all(jobs, LiveLine())
    return sum(end.state == "failed" for end in ends)


def folder_of(job: PlannedRun) -> Path:
    """The folder of a job with other settings: it has another hash. A folder that is not there yet is "none"."""
    folders = (f for f in store.folder("runs").glob(f"{job.task}/{job.variant}-*/seed-0") if f != job.folder)
    return next(folders, Path("none"))


def pid_of(folder: Path) -> int:
    progress = read_progress(folder)
    assert progress is not None
    return progress.pid


def until(true: Callable[[], object]) -> None:
    """Wait for something that takes a while."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_long(job: PlannedRun) -> bool:
    """Whether the job with other settings has come to a checkpoint."""
    return (folder_of(job) / LAST).exists()


def test_one_worker_trains_all_runs_and_goes_on_after_one_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = jobs_of(3)
    ends = Pool(WORKER, words_of(jobs, {1: DEAD}), 1).run_all(jobs, LiveLine())
    assert [end.state for end in ends] == ["finished", "failed", "finished"]
    folders = [jobs[0].folder, folder_of(jobs[1]), jobs[2].folder]
    assert len({pid_of(folder) for folder in folders}) == 1
    for job in (jobs[0], jobs[2]):  # each has its own log
        lines = (job.folder / "log.txt").read_text().splitlines()
        assert sum(line.startswith("iteration 12/12") for line in lines) == 1
        assert lines[-1].startswith(f"{job}: finished")
    assert "dead network" in (jobs[1].folder / "log.txt").read_text()


def test_a_worker_that_is_killed_takes_no_other_run_with_it() -> None:
    jobs = jobs_of(3)

    def kill() -> None:
        until(lambda: is_long(jobs[1]))
        os.kill(pid_of(folder_of(jobs[1])), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    ends = Pool(WORKER, words_of(jobs, {1: LONG}), 1).run_all(jobs, LiveLine())
    killer.join()
    assert [(end.state, end.detail) for end in ends] == [
        *(("finished", ends[0].detail), ("failed", "killed by SIGKILL"), ("finished", ends[2].detail))
    ]
    assert pid_of(jobs[2].folder) != pid_of(jobs[0].folder) == pid_of(folder_of(jobs[1]))


@pytest.fixture
def training() -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """A plan that is at its second run, which has a checkpoint; that run's folder, and its worker."""
    process = subprocess.Popen(
        [sys.executable, "-c", PLAN],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    job = jobs_of(2)[1]
    until(lambda: is_long(job) or process.poll() is not None)
    assert process.poll() is None, process.stdout and process.stdout.read()
    folder = folder_of(job)
    yield process, folder, pid_of(folder)
    process.kill()
    process.communicate()


def test_no_worker_outlives_its_parent(training: tuple[subprocess.Popen[str], Path, int]) -> None:
    process, folder, worker = training
    process.kill()
    until(lambda: not exists(worker))
    assert not is_locked(folder)
    assert read_record(folder).status == "unfinished" and (folder / LAST).exists()
    assert [event["event"] for event in journal(folder)] == ["started", "unfinished"]


def test_an_interrupt_of_the_whole_group(training: tuple[subprocess.Popen[str], Path, int]) -> None:
    process, folder, worker = training
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT and not exists(worker)
    assert read_record(folder).status == "unfinished" and (folder / LAST).exists()
    assert "Traceback" not in "".join(log.read_text() for log in folder.parents[2].glob("*/*/*/log.txt"))


def status_of(worker: RunProcess, order: Order) -> int:
    """Give an order and wait for its end."""
    worker.give(order)
    statuses: list[int | None] = []
    until(lambda: statuses.append(worker.status()) or statuses[-1] is not None)  # type: ignore[func-returns-value]
    return statuses[-1] or 0


@pytest.mark.parametrize(
    ("words", "ends"),
    [(("1", "0", "1"), None), (("0", "2"), 2), (("memory",), 1), (("bug",), 1)],
)
def test_a_worker_whose_state_is_in_doubt_exits(tmp_path: Path, words: tuple[str, ...], ends: int | None) -> None:
    worker, log = RunProcess([sys.executable, "-c", PRETENDS], tmp_path), tmp_path / "log.txt"
    try:
        statuses = [status_of(worker, Order([word], log)) for word in words]
        assert statuses == [int(word) if word.isdigit() else 1 for word in words]
        if ends is None:
            assert worker.lives()
        else:
            assert worker.process.wait(PATIENCE) == ends
    finally:
        worker.process.terminate()
        worker.process.wait(PATIENCE)


def test_minutes_of_a_whole_plan(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce, "conclude", lambda *_: None)
    command = ["reproduce", "fig1", "--profile", "quick", "--jobs", "2", "--logger", "none", "--minutes", "0.05"]
    done = []
    for _ in range(2):
        assert main(command) == 75
        printed = capsys.readouterr().out
        assert printed.count(" not begun") == 7 and "9 of 9 runs unfinished: run the same command again" in printed
        records = [read_record(path.parent) for path in sorted(here.glob("runs/*/*/*/record.json"))]
        assert [record.status for record in records] == ["unfinished"] * 2
        assert all(record.reason in printed for record in records)
        done.append([int(record.reason.split()[0]) for record in records])
    assert all(1 <= before <= after < 1000 for before, after in zip(*done, strict=True))
