"""Commands that share the queue of a figure: no run is made twice, none is lost, whoever makes it."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.jobs.figure_runs import FigureRuns, job_of_run
from repro.jobs.memory_queue import MemoryQueue
from repro.jobs.plan import PlannedRun, plan
from repro.jobs.pool import Pool
from repro.jobs.queue import Queue
from repro.jobs.timing import Timing
from repro.records.record import LOCK
from repro.records.status import journal
from repro.runs.checkpoints import LAST
from repro.runs.registry import get_task
from tests.cli.test_command_line import repro as blocked_repro

FIG1 = ("reproduce", "fig1", "--profile", "smoke", "--logger", "none")
PATIENCE = 300


@pytest.fixture(autouse=True)
def here(results: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return results


def start(*words: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-m", "repro", *words], text=True, **pipes)  # type: ignore[call-overload]


def runs() -> list[PlannedRun]:
    return plan([get_task("pattern_generation")], "smoke")


def begun(run: PlannedRun) -> list[str]:
    return [event["event"] for event in journal(run.folder)]


def test_two_commands_at_once_make_each_run_once() -> None:
    commands = [start(*FIG1), start(*FIG1)]
    printed = [command.communicate(timeout=PATIENCE)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], printed
    assert all(begun(run) == ["started", "finished"] for run in runs())
    for lines in printed:
        assert len(re.findall(r"^\[\d/9\] ", lines, re.M)) == 9
    assert sum(lines.count("(elsewhere)") for lines in printed) == 9


def test_workers_join_a_queue_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["work", "fig1-smoke"]) == 2
    assert "there is no queue fig1-smoke in " in capsys.readouterr().err
    Queue(FigureRuns("fig1", "smoke", runs()[:3])).fill()
    assert main(["work", "fig1-smoke", "--workers", "2", "--logger", "none"]) == 0
    assert "3 of 3 done\n`repro reproduce fig1 --profile smoke` draws the result\n" in capsys.readouterr().out
    assert [begun(run) for run in runs()[:4]] == [["started", "finished"]] * 3 + [[]]


@pytest.mark.parametrize(("lose", "status", "printed"), [(False, 75, "the time is over"), (True, 1, "9 runs failed")])
def test_the_status_where_runs_are_left_or_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lose: bool, status: int, printed: str
) -> None:
    Queue(FigureRuns("fig1", "smoke", runs())).fill()

    def ends(pool: Pool, *_: object) -> None:
        while lose and (attempt := pool.queue.take()):
            pool.queue.lose(attempt, "dead network")

    monkeypatch.setattr(Pool, "run_all", ends)
    assert main(["work", "fig1-smoke", "--logger", "none", "--minutes", "1"]) == status
    assert printed in capsys.readouterr().out


def test_a_command_makes_only_its_own_runs_of_the_queue() -> None:
    Queue(FigureRuns("fig1", "smoke", runs())).fill()
    mine = Queue(FigureRuns("fig1", "smoke", runs()[4:5]), timing=Timing(0.1, 0.6, 0.05))
    attempt = mine.take()
    assert attempt is not None and attempt.job == job_of_run(runs()[4])
    assert mine.take() is None and not mine.is_done()
    mine.finish(attempt, {"nmse": 1.0})
    assert mine.is_done()
    assert Counter(state.name for state in mine.states().values()) == {"waiting": 8, "finished": 1}


def test_a_lost_run_is_tried_again_by_a_new_command_and_by_no_worker() -> None:
    run = runs()[0]
    job = job_of_run(run)
    first, worker, second = (Queue(FigureRuns("fig1", "smoke", which)) for which in ([run], None, [run]))
    first.fill()
    attempt = first.take()
    assert attempt is not None
    first.lose(attempt, "dead network")
    worker.fill()
    assert worker.is_done() and worker.states()[job].reason == "dead network"
    second.fill([job])
    assert first.states()[job].name == "waiting"
    second.fill([job])  # another command at the same time
    again = second.take()
    assert again is not None and second.take() is None
    second.give_up(again, "interrupted")
    worker.fill()
    assert worker.states()[job].name == "waiting", "the second try is not given up with its worker"


def test_a_request_to_end_leaves_runs_that_the_next_command_resumes() -> None:
    words = ("reproduce", "fig1", "--profile", "quick", "--logger", "none", "--jobs", "1")
    long = plan([get_task("pattern_generation")], "quick")[0]
    command = start(*words)
    while not (long.folder / LAST).exists():
        assert command.poll() is None, command.stdout and command.stdout.read()
        time.sleep(0.05)
    command.send_signal(signal.SIGTERM)
    printed, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 75, printed
    assert printed.endswith("repro: stopped; the same command resumes each run where it stopped\n")
    assert begun(long) == ["started", "unfinished"]
    queue = Queue(FigureRuns("fig1", "quick"))
    assert queue.workers() == ([], {})
    assert main([*words, "--minutes", "0.05"]) == 75
    assert begun(long)[:3] == ["started", "unfinished", "resumed"]


def test_a_run_that_a_process_outside_the_queue_has_is_waited_for() -> None:
    first = runs()[0]
    first.folder.mkdir(parents=True)
    with (first.folder / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        command = start(*FIG1)
        while not all(run.folder.joinpath("record.json").exists() for run in runs()[1:]):
            assert command.poll() is None
            time.sleep(0.1)
        assert command.poll() is None, "it waits"
    printed, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0, printed
    assert printed.count("[9/9] ") == 1
    log = (first.folder / "log.txt").read_text()
    assert log.count("another process is training") == 1, "it is not asked again and again"


def test_without_optuna() -> None:
    done = blocked_repro(*FIG1, "--panels", "1d", results=Path(os.environ["REPRO_RESULTS"]), blocked=("optuna",))
    assert done.returncode == 0, done.stderr
    assert "[9/9] " in done.stdout
    assert not Path(os.environ["REPRO_RESULTS"], "queues").exists()
    words = (*FIG1[:3], "quick", "--storage", "x.log")
    refused = blocked_repro(*words, blocked=("optuna",))
    assert refused.returncode == 2 and "--storage needs optuna, which is not installed" in refused.stderr


def test_the_memory_queue_takes_the_same_steps() -> None:
    queue = MemoryQueue(FigureRuns("fig1", "smoke", runs()[:3]))
    queue.fill()
    first, second = queue.take(), queue.take()
    assert first and second and not queue.is_done()
    queue.give_up(first, "interrupted")
    again = queue.take()
    assert again is not None and again.job == first.job
    queue.lose(again, "dead network")
    queue.finish(second, {"nmse": 1.0})
    third = queue.take()
    assert third is not None and queue.take() is None
    queue.give_up(third, "the disk is full")
    queue.broken[third.job] = "the disk is full"
    assert queue.take() is None and queue.is_done()
