"""`repro bench [NAME] [--json] [--write FILE] [--minutes M]`: how long iterations and whole runs take us and others."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import goals, report, whole_runs
from benchmarks.catalogue import BENCHES, GROWTH, ITERATIONS
from benchmarks.goals import Result
from benchmarks.measure import Clock, Measured, Row, ask, measure
from benchmarks.whole_runs import RUNS, RunRow
from repro.errors import unknown
from repro.text import shown

GROUPS = {"iterations": tuple(ITERATIONS), "growth": tuple(GROWTH), "runs": tuple(RUNS)}
EVERYTHING = (*ITERATIONS, *GROWTH, *RUNS)


def main(name: str | None, as_json: bool, write: Path | None = None, minutes: float | None = None) -> int:
    """Run one benchmark, a group of them, or all.

    `write` is where the report goes. After `minutes` no benchmark begins, and those that have begun take the fewest
    turns.
    Raises UserError for an unknown name, RunFailed where contenders do not agree.
    """
    chosen, clock = names_of(name), Clock(minutes)
    measured: list[Measured] = []
    runs: list[RunRow] = []
    for one in chosen:
        if not clock.left():
            left_out = ", ".join(chosen[chosen.index(one) :])
            print(f"Left out, since {minutes:g} minutes have passed: {left_out}.", file=sys.stderr)
            break
        if one in RUNS:
            runs.append(whole_runs.measure(one, RUNS[one], clock))
        else:
            measured.append(measure(one, BENCHES[one], clock))
        if not as_json:
            print(report.terminal_run(runs[-1]) if one in RUNS else report.terminal(measured[-1]), flush=True)
    results = goals.judge(measured)
    if as_json:
        rows: list[Row] = [*(row for one in measured for row in one.rows), *runs]
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    elif results:
        print(report.terminal_goals(results))
    if write is not None:
        write.write_text(report.document(measured, runs, results, profiles_of(results)))
        if not as_json:
            print(f"\nWritten: {shown(write)}")
    return 0


def names_of(name: str | None) -> tuple[str, ...]:
    """The benchmarks that a name stands for. Raises UserError for an unknown one."""
    if name is None:
        return EVERYTHING
    if name in GROUPS:
        return GROUPS[name]
    if name not in EVERYTHING:
        raise unknown("benchmark", name, (*GROUPS, *EVERYTHING))
    return (name,)


def profiles_of(results: Sequence[Result]) -> dict[tuple[str, str], dict[str, float]]:
    """Where the time of each contender goes that missed a goal."""
    missed = dict.fromkeys((result.goal.bench, result.goal.who) for result in results if not result.met)
    return {
        (bench, who): ask(measure="profile", task=BENCHES[bench].task, size=BENCHES[bench].sizes[0], who=who)
        for bench, who in missed
    }
