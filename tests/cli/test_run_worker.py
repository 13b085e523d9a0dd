"""Workers that train one run after the other: real ones, and what ends them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from repro.cli import reproduce
from repro.cli.main import main
from repro.cli.serving import WORKER
from repro.jobs.display import Display
from repro.jobs.figure_runs import FigureRuns
from repro.jobs.job import JobState
from repro.jobs.memory_queue import MemoryQueue
from repro.jobs.plan import PlannedRun, planned_run, run_words
from repro.jobs.pool import Pool
from repro.jobs.run_process import Order, Report, RunProcess
from repro.records.progress import read_progress
from repro.records.record import read_record
from repro.records.status import is_locked, journal
from repro.runs.checkpoints import LAST
from repro.runs.registry import get_task
from repro.text import LiveLines

PATIENCE = 200.0
LONG, DEAD = {"iterations": "3000"}, {"v_th": "1e6", "iterations": "25"}
# A worker whose runs end as their first word says.
PRETENDS = """
import repro.cli.main as command_line
from repro.cli.run_worker import serve

def pretended(words, callbacks):
    if not words[0].isdigit():
        raise {"memory": MemoryError, "bug": ZeroDivisionError}[words[0]]
    return int(words[0])

command_line.main = pretended
raise SystemExit(serve())
"""
# What `repro reproduce` does, with a first run that ends and a second one that does not.
PLAN = """
from tests.cli.test_run_worker import LONG, runs_of, train
train(runs_of(None, LONG))
"""


@pytest.fixture(autouse=True)
def here(results: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Processes that are started write to the test's folder too."""
    monkeypatch.setenv("REPRO_RESULTS", str(results))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return results


def runs_of(*settings: Mapping[str, str] | None) -> list[PlannedRun]:
    """Runs of different variants with these settings."""
    task = get_task("pattern_generation")
    variants = list(task.variants_of("smoke"))
    return [planned_run(task, variant, "smoke", 0, change) for variant, change in zip(variants, settings, strict=False)]


def train(runs: list[PlannedRun]) -> list[JobState]:
    """Train the runs in one worker; how each ended."""
    queue = MemoryQueue(FigureRuns("fig1", "smoke", runs))
    Pool(queue, WORKER, run_words("cpu", ()), 1).run_all(Display(queue.jobs, LiveLines()))
    return list(queue.states().values())


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


def is_long(run: PlannedRun) -> bool:
    """Whether a run has come to a checkpoint."""
    return (run.folder / LAST).exists()


def test_one_worker_trains_all_runs_and_goes_on_after_one_that_fails() -> None:
    runs = runs_of(None, DEAD, None)
    states = train(runs)
    assert [state.name for state in states] == ["finished", "lost", "finished"]
    assert states[1].reason.startswith("dead network: no spike in ")
    assert len({pid_of(run.folder) for run in runs}) == 1
    for run in (runs[0], runs[2]):  # each has its own log
        lines = (run.folder / "log.txt").read_text().splitlines()
        assert sum(line.startswith("iteration 12/12") for line in lines) == 1
        assert lines[-1].startswith(f"{run}: finished")
    assert "dead network" in (runs[1].folder / "log.txt").read_text()


def test_a_run_whose_worker_is_killed_goes_on_in_another(capsys: pytest.CaptureFixture[str]) -> None:
    runs = runs_of(None, {"iterations": "400"}, None)
    killed: list[int] = []

    def kill() -> None:
        until(lambda: is_long(runs[1]))
        killed.append(pid_of(runs[1].folder))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    states = train(runs)
    killer.join()
    assert [state.name for state in states] == ["finished"] * 3
    assert pid_of(runs[0].folder) == killed[0] != pid_of(runs[1].folder) == pid_of(runs[2].folder)
    assert [event["event"] for event in journal(runs[1].folder)] == ["started", "resumed", "finished"]
    assert f"{runs[1]}: killed by SIGKILL; begun again\n" in capsys.readouterr().out


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
    run = runs_of(None, LONG)[1]
    until(lambda: is_long(run) or process.poll() is not None)
    assert process.poll() is None, process.stdout and process.stdout.read()
    yield process, run.folder, pid_of(run.folder)
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
    messages: list[Report | int | None] = []
    until(lambda: messages.append(worker.message()) or messages[-1] is not None)  # type: ignore[func-returns-value]
    assert isinstance(messages[-1], int)
    return messages[-1]


@pytest.mark.parametrize(
    ("words", "ends"),
    [(("1", "0", "75", "3", "1"), None), (("0", "2"), 2), (("memory",), 1), (("bug",), 1)],
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
    train = reproduce.train

    def train_for_two_seconds(queue: Any, words: Any, workers: Any, until: float, *more: Any, **options: Any) -> None:
        train(queue, words, workers, time.time() + 2, *more, **options)

    monkeypatch.setattr(reproduce, "train", train_for_two_seconds)
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
