"""All runs of a figure, with a fake runner in the place of training."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli import reproduce
from repro.cli.main import build_parser
from repro.errors import UserError
from repro.jobs.display import Display
from repro.jobs.figure_runs import FigureRuns
from repro.jobs.memory_queue import MemoryQueue
from repro.jobs.plan import PlannedRun, Words, is_finished, plan, run_words
from repro.jobs.pool import Pool
from repro.jobs.timing import Timing
from repro.runs import registry
from repro.runs.registry import get_task
from repro.text import LiveLines

TASK = get_task("pattern_generation")
Write = Callable[..., object]
WORKER = [sys.executable, "-m", "tests.cli.fake_worker"]


def run_all(runs: list[PlannedRun], size: int, words: Words) -> list[PlannedRun]:
    """Run the runs by fake workers; those that failed."""
    queue = MemoryQueue(FigureRuns("fig1", "quick", runs), Timing(poll=0.1))
    Pool(queue, WORKER, words, size).run_all(Display(queue.jobs, LiveLines()))
    lost = [job for job, state in queue.states().items() if state.name == "lost"]
    return [queue.jobs.run_of(job) for job in [*queue.broken, *lost]]


def prepared(write: Write, variants: int = 9) -> list[PlannedRun]:
    """Jobs whose finished records wait in another folder; the fake runner moves them there."""
    jobs = plan([TASK], "quick")[:variants]
    for job in jobs:
        write(job)
        (job.folder / "record.json").rename(job.folder / "waiting.json")
    return jobs


def fake(job: PlannedRun, before: str = "") -> list[str]:
    """Code that does `before`, then finishes the job."""
    move = f"pathlib.Path({str(job.folder)!r}, 'waiting.json').rename(pathlib.Path({str(job.folder)!r}, 'record.json'))"
    return ["import os, pathlib, sys, time", before, move]


def test_one_failure_does_not_stop_the_rest(results: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = prepared(write)
    bad, killed = jobs[3], jobs[5]
    before = {bad: "sys.exit('repro: error: the disk is full')", killed: "os.kill(os.getpid(), 9)"}
    failed = run_all(jobs, 3, lambda job: fake(job, before.get(job, "")))
    said = capsys.readouterr().out.splitlines()
    assert failed == [bad, killed] or failed == [killed, bad]
    assert all(is_finished(job.folder) for job in jobs if job not in failed)
    ends = [line for line in said if line.startswith("[")]
    assert [line[: len("[1/9]")] for line in ends] == [f"[{i}/9]" for i in range(1, 10)]
    assert said.count(f"{killed}: killed by SIGKILL; begun again") == 2
    assert sum(bool(re.search(r": finished in \d+ s, nmse 0.012$", line)) for line in said) == 7
    lines = re.sub(r"\d+ s:", "N s:", "\n".join(said))
    assert f"{bad}: failed after N s: the disk is full (log: {bad.folder}/log.txt)" in lines
    assert f"{killed}: failed after N s: killed by SIGKILL" in lines


def test_a_runner_that_leaves_no_record_has_failed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = plan([TASK], "quick")[:1]
    assert run_all(jobs, 1, lambda job: ["pass"]) == jobs
    assert "no error message was printed" in capsys.readouterr().out


def test_the_record_says_why_it_failed(results: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = plan([TASK], "quick")[:1]
    write(jobs[0], "failed", "the network is silent")
    assert run_all(jobs, 1, lambda job: ["raise SystemExit(1)"]) == jobs
    assert "the network is silent" in capsys.readouterr().out


def test_children_use_one_thread_each(results: Path, write: Write) -> None:
    jobs = prepared(write, 1)
    check = "assert os.environ['OMP_NUM_THREADS'] == os.environ['NUMBA_NUM_THREADS'] == '1'"
    assert run_all(jobs, 1, lambda job: fake(job, check)) == []


def test_no_more_than_asked_at_a_time(results: Path, write: Write) -> None:
    jobs = prepared(write, 6)
    count = (
        f"marks = pathlib.Path({str(results)!r}); mine = marks / f'{{os.getpid()}}.on'; mine.touch(); time.sleep(0.2)\n"
        "assert len(list(marks.glob('*.on'))) <= 2; mine.unlink()"
    )
    assert run_all(jobs, 2, lambda job: fake(job, count)) == []


def test_an_interrupt_stops_the_children(results: Path, write: Write) -> None:
    jobs = prepared(write, 2)

    def command(job: PlannedRun) -> list[str]:
        if job is jobs[1]:  # interrupt ourselves as soon as both are there
            both = " -a ".join(f"-e {job.folder}/pid" for job in jobs)
            subprocess.Popen(["/bin/sh", "-c", f"until [ {both} ]; do sleep 0.1; done; kill -TERM {os.getpid()}"])
        return fake(job, f"pathlib.Path({str(job.folder)!r}, 'pid').write_text(str(os.getpid())); time.sleep(600)")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_all(jobs, 2, command)
    for job in jobs:
        with pytest.raises(ProcessLookupError):
            os.kill(int((job.folder / "pid").read_text()), 0)
    assert signal.getsignal(signal.SIGTERM) is before


def arguments(**changes: object) -> Namespace:
    """What `repro reproduce fig1 --jobs 3` gives, with changes."""
    words = ["reproduce", "fig1", "--jobs", "3"]
    return Namespace(**(vars(build_parser(words).parse_args(words)) | changes))


def execute(args: Namespace, words: Words) -> int:
    """The command with fake workers."""
    return reproduce.execute(args, words, WORKER)


def no_words(job: PlannedRun) -> list[str]:
    """Nothing may be trained."""
    raise AssertionError(job)


@pytest.fixture
def concluded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Figures and verdicts that were asked for; drawing itself has tests of its own."""
    asked: list[str] = []
    monkeypatch.setattr(reproduce, "conclude", lambda figure, *_: asked.append(figure))
    return asked


def test_reproduce_then_again(
    results: Path, write: Write, concluded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(write)
    assert execute(arguments(), fake) == 0
    first = capsys.readouterr().out
    assert "fig1, profile quick: 0 of 9 runs finished; 9 to train\nexpected: about " in first
    assert execute(arguments(), no_words) == 0
    assert capsys.readouterr().out == f"nothing to train: 9 of 9 finished in {results}/runs\n"
    assert concluded == ["fig1", "fig1"]


def test_reproduce_with_a_failure_still_draws(
    results: Path, write: Write, concluded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(write)
    assert execute(arguments(), lambda job: fake(job, "sys.exit(1)" * (job.variant == "binary"))) == 1
    assert "1 run of 9 failed; `repro runs` prints why" in capsys.readouterr().out
    assert concluded == ["fig1"]
    assert execute(arguments(), fake) == 0  # only the failed one is trained again
    assert "8 of 9 runs finished; 1 to train" in capsys.readouterr().out


def test_a_dry_run_touches_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(arguments(dry_run=True, seeds=(0, 1)), no_words) == 0
    said = capsys.readouterr().out
    assert "18 runs" in said
    assert said.count("about 13 s") == 18
    assert list((results / "runs").iterdir()) == []


def test_the_command_of_a_job(results: Path) -> None:
    job = plan([TASK], "smoke", (3,))[0]
    said = " ".join(run_words("cuda")(job))
    assert said == f"run pattern_generation --variant {job.variant} --profile smoke --seed 3 --device cuda"


def test_nothing_is_drawn_when_nothing_finished(
    results: Path, concluded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(arguments(), lambda job: ["1 / 0"]) == 1
    assert "9 runs of 9 failed" in capsys.readouterr().out
    assert concluded == []


def test_only_what_the_panels_need_is_trained(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = dataclasses.replace(TASK, name="other", panels=("1e",))
    monkeypatch.setattr(registry, "tasks_of", lambda figure: [dataclasses.replace(TASK, panels=("1c", "1d")), other])
    for panels, names in ((("1c",), ["pattern_generation"]), (("1e",), ["other"])):
        assert [task.name for task in reproduce.tasks_behind("fig1", panels)] == names
    for both in (None, ("1d", "1e")):
        assert [task.name for task in reproduce.tasks_behind("fig1", both)] == ["pattern_generation", "other"]
    assert execute(arguments(dry_run=True, panels=("1e",)), no_words) == 0
    said = capsys.readouterr().out
    assert "9 runs" in said and "other" in said and "pattern_generation" not in said


def test_data_in_place_of_the_papers_are_announced(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = (
        "data: synthesised speech in place of TIMIT; TIMIT is licensed (LDC93S1): set TIMIT_DIR to a copy of your own"
    )
    monkeypatch.delenv("TIMIT_DIR", raising=False)

    def announced(*panels: str) -> list[str]:
        settings = arguments(figure="fig2", dry_run=True, panels=panels)
        assert execute(settings, no_words) == 0
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("data")]

    assert announced("2c") == announced("2a", "2c") == [wanted]
    assert announced("2a", "2b") == []
    monkeypatch.setenv("TIMIT_DIR", str(results))
    assert announced("2c") == []


def test_an_unknown_panel_trains_nothing(results: Path) -> None:
    with pytest.raises(UserError, match="unknown panel '1z'"):
        execute(arguments(panels=("1z",)), no_words)
    assert list((results / "runs").iterdir()) == []
