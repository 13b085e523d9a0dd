"""`repro runs` prints the status of every run."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli import runs
from repro.cli.main import main
from repro.jobs.plan import PlannedRun, plan
from repro.records.record import append_journal
from repro.records.status import last_event, status_of
from repro.runs.registry import get_task


@pytest.fixture
def jobs(results: Path) -> list[PlannedRun]:
    """Places for runs."""
    jobs = plan([get_task("pattern_generation")], "quick")
    for job in jobs:
        job.folder.mkdir(parents=True)
    return jobs


def test_each_status(jobs: list[PlannedRun], write: Callable[..., object]) -> None:
    finished, failed, broken, running, stopped, again, empty, unfinished, *_ = jobs
    write(finished)
    write(failed, "failed", "the loss is NaN at trial 7")
    write(unfinished, "unfinished", "13 of 20 iterations")
    write(broken)
    (broken.folder / "record.json").write_text((broken.folder / "record.json").read_text()[:100])
    for job in (running, stopped, again):
        append_journal(job.folder, "started", time="noon")
        (job.folder / "lock").touch()
    (stopped.folder / "log.txt").write_text("iteration 1\nMemoryError: no room\n")
    write(again, "failed", "the loss is NaN at trial 7")
    with (running.folder / "lock").open() as one, (again.folder / "lock").open() as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.flock(two, fcntl.LOCK_EX)
        states = {job: status_of(job.folder) for job in jobs}
        said = {job: (status.state, runs.details(status)) for job, status in states.items()}
    assert said[finished] == ("finished", "profile quick, 11 s, nmse 0.012")
    assert said[failed] == ("failed", "the loss is NaN at trial 7")
    assert said[unfinished] == ("unfinished", "profile quick, 13 of 20 iterations")
    assert said[broken][0] == "broken" and "is not JSON that we wrote" in said[broken][1]
    assert said[running] == said[again] == ("running", "started noon")
    assert said[stopped] == ("interrupted", "started noon; log.txt ends: MemoryError: no room")
    assert said[empty] == ("interrupted", "before its first iteration")


def test_a_journal_that_is_cut_off(jobs: list[PlannedRun]) -> None:
    append_journal(jobs[0].folder, "started", pid=1)
    append_journal(jobs[0].folder, "failed", reason="x")
    with (jobs[0].folder / "journal.jsonl").open("a") as journal:
        journal.write('{"event": "resu')
    assert last_event(jobs[0].folder) == {"event": "failed", "reason": "x"}


def test_the_table(jobs: list[PlannedRun], write: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    write(jobs[0])
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["TASK", "VARIANT", "CONFIG", "SEED", "STATUS", "DETAILS"]
    assert sum(" finished " in line for line in lines) == 1
    assert lines[1 + len(jobs) :] == [
        "",
        "1 finished, 8 interrupted",
        "one run with all of its numbers: repro show TASK/VARIANT-CONFIG/seed-SEED",
        "to resume an interrupted or unfinished run, run the command that started it again",
    ]


def test_no_runs_yet(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "runs").rmdir()
    assert main(["runs"]) == 0
    assert "no runs in" in capsys.readouterr().out
