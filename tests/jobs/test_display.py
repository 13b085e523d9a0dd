"""What a pool prints while it trains: lines in a log, a live table on a terminal."""

import io
import re
from pathlib import Path

import pytest

from repro.jobs import display
from repro.jobs.display import Display
from repro.jobs.figure_runs import FigureRuns, job_of_run
from repro.jobs.job import Attempt, Job, JobState
from repro.jobs.plan import PlannedRun, plan
from repro.jobs.training import Training
from repro.records.progress import write_progress
from repro.runs.registry import get_task
from repro.text import LiveLines

STATE = {name: JobState(name) for name in ("waiting", "running", "finished")}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def last(self) -> list[str]:
        """The lines of the last table."""
        return re.split(r"\r(?:\x1b\[\d+A)?\x1b\[J", self.getvalue())[-1].splitlines()


@pytest.fixture
def runs(results: Path) -> list[PlannedRun]:
    return plan([get_task("pattern_generation")], "quick", (0, 1))


def states_of(runs: list[PlannedRun], *names: str) -> dict[Job, JobState]:
    given = [*names, *["waiting"] * (len(runs) - len(names))]
    return {job_of_run(run): STATE[name] for run, name in zip(runs, given, strict=True)}


def at(run: PlannedRun, iteration: int, left: float, **metrics: float) -> None:
    run.folder.mkdir(parents=True)
    write_progress(run.folder, iteration, 1000, metrics, left)


@pytest.mark.parametrize("columns", [80, 30])
def test_a_row_for_each_run_that_is_trained(
    runs: list[PlannedRun], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    terminal = Terminal()
    shown = Display(FigureRuns("fig1", "quick", runs), LiveLines(terminal))
    at(runs[1], 412, 90.0, loss=0.5, nmse=0.03125)
    at(runs[2], 7, 600.0, loss=0.5)
    ours = [Training(Attempt(job_of_run(run)), run) for run in runs[2:4]]
    shown.show(states_of(runs, "finished", "running", "running", "running"), ours)
    names = [str(run) for run in runs]
    assert all(len(line) < columns for line in terminal.last())
    assert terminal.last() == [
        line[: columns - 1]
        for line in [
            f"7/1000    loss 0.5     10 min left   {names[2]}",
            f"          elsewhere                  {names[3]}",
            f"412/1000  nmse 0.0312  1.5 min left  {names[1]}",
            "1 of 18 done, 3 running, 14 waiting; about 10 min left",
        ]
    ]


def test_the_table_is_rewritten_and_taken_away(runs: list[PlannedRun]) -> None:
    terminal = Terminal()
    shown = Display(FigureRuns("fig1", "quick", runs), LiveLines(terminal), lambda states: "best: none")
    shown.show(states_of(runs, "running"), [])
    first = terminal.last()
    shown.show(states_of(runs, "running"), [])
    assert terminal.last() == first and len(first) == 3 and first[-1] == "best: none"
    assert terminal.getvalue().endswith("\r\x1b[2A\x1b[J" + "\n".join(first))
    shown.clear()
    assert terminal.last() == []


def test_runs_that_end_elsewhere_have_a_line(runs: list[PlannedRun]) -> None:
    log = io.StringIO()
    shown = Display(FigureRuns("fig1", "quick", runs[:3]), LiveLines(log))
    shown.begin(states_of(runs[:3], "finished"))
    states = states_of(runs[:3], "finished", "finished")
    states[job_of_run(runs[1])] = JobState("finished", {"nmse": 0.03125})
    for _ in range(2):
        shown.show(states, [])
    shown.ended(Training(Attempt(job_of_run(runs[2])), runs[2]), "finished in 3 s")
    assert log.getvalue().splitlines() == [
        f"[2/3] {runs[1]}: finished, nmse 0.0312 (elsewhere)", f"[3/3] {runs[2]}: finished in 3 s",
    ]  # fmt: skip


def test_a_quiet_log_gets_a_line(runs: list[PlannedRun], monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    shown = Display(FigureRuns("fig1", "quick", runs), LiveLines(log))
    shown.show(states_of(runs, "running"), [])
    assert log.getvalue() == ""
    monkeypatch.setattr(display, "QUIET_SECONDS", 0.0)
    shown.show(states_of(runs, "running"), [])
    assert log.getvalue().startswith("0 of 18 done, 1 running, 17 waiting; about ")
