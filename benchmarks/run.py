"""`repro bench [NAME] [--json]`: how long an iteration takes us and others, and how much memory."""

import dataclasses
import importlib.util
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.catalogue import BENCHES, IN_LIGHTNING, JAX, Bench
from repro.errors import RunFailed, unknown
from repro.text import count, megabytes, table

ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Row:
    """One contender in one size, per iteration: median CPU seconds, how many times faster than the plain eager
    BPTT that comes first, and the memory it adds (None if the system does not report it)."""

    bench: str
    who: str
    median_s: float
    ratio_to_eager: float
    peak_mb: float | None


def main(name: str | None, as_json: bool) -> int:
    """Run one benchmark, or all. Raises UserError for an unknown name, RunFailed where contenders do not agree."""
    if name is not None and name not in BENCHES:
        raise unknown("benchmark", name, BENCHES)
    rows: list[Row] = []
    for chosen in [name] if name else BENCHES:
        new_rows, notes = measure(chosen, BENCHES[chosen])
        rows += new_rows
        if not as_json:
            print(report(chosen, BENCHES[chosen], new_rows, notes), flush=True)
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    return 0


def measure(name: str, bench: Bench) -> tuple[list[Row], list[str]]:
    """The rows of a benchmark, and the sentences below them."""
    who = [contender for contender in bench.who if contender != JAX or importlib.util.find_spec("jax")]
    rows, timings = [], []
    for size in bench.sizes:
        print(f"{name}: {', '.join(f'{k} = {v}' for k, v in size.items())} ...", file=sys.stderr, flush=True)
        timings.append(ask(measure="timing", task=bench.task, size=size, who=who, rounds=bench.rounds))
        seconds = {contender: statistics.median(timings[-1]["cpu_s"][contender]) for contender in who}
        for contender in who:
            peak = ask(measure="memory", task=bench.task, size=size, who=contender)["peak_mb"]
            ratio = seconds[who[0]] / seconds[contender]
            rows.append(Row(name, bench.name_of(contender, size), seconds[contender], ratio, peak))
    notes = [_agreed([timed["agreed"] for timed in timings]), _measured(bench, timings), *bench.notes]
    for a, b in bench.ratios:
        notes.append(f"{a} took {seconds[a] / seconds[b]:.1f} times as long as {b}.")
    if bench.per_second:
        rates = ", ".join(f"{name} {1 / seconds[name]:.0f}" for name in who)
        notes.append(f"{bench.per_second.capitalize()}s per second: {rates}.")
    if who[-1].endswith(IN_LIGHTNING):
        ratio = seconds[who[-1]] / seconds[who[-2]]
        notes.append(
            f"Under Lightning's loop, with metrics and our recorder, an iteration takes {ratio:.2f} times one without: "
            "below 1, Lightning's share is smaller than what a rotation of contenders costs the caches."
        )
    if len(who) < len(bench.who):
        notes.append(f"Left out: {JAX}; JAX is not installed (`make bench` installs it, or the extra `bench`).")
    return rows, notes


def _agreed(sizes: list[dict[str, Any]]) -> str:
    slow_to_fast = sorted(size["rate_hz"] for size in sizes if size["rate_hz"] is not None)
    rates = " to ".join(dict.fromkeys(f"{rate:.0f} Hz" for rate in (*slow_to_fast[:1], *slow_to_fast[-1:])))
    same = " or ".join(sorted({size["same"] for size in sizes}))
    gradient = max(size["gradient"] for size in sizes)
    what = f"{sizes[0]['what']}, at {rates}" if rates else sizes[0]["what"]
    return (
        f"Before timing, {' and '.join(sizes[0]['who'])} and ours computed {what}: "
        f"{same} was the same, gradients of {sizes[0]['gradients']} differed by at most {gradient:.0e} of the largest."
    )


def _measured(bench: Bench, timings: list[dict[str, Any]]) -> str:
    threads = max(timed["threads"] for timed in timings)
    return (
        f"Median CPU time of {count(bench.rounds, 'turn')} of each (two iterations, of which the second counts) in "
        f"rotation, on one thread (CPU time at most {threads:.2f} of wall time). Memory: what iterations add, each in "
        "a separate process."
    )


def ask(**request: Any) -> Any:
    """Send one request to a fresh `benchmarks.worker`. Raises RunFailed with the worker's message."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker"],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RunFailed(f"a benchmark's process ended with status {done.returncode}; what it said is above")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "failed" in answer:
        raise RunFailed(answer["failed"])
    return answer


def report(name: str, bench: Bench, rows: list[Row], notes: list[str]) -> str:
    """A benchmark for a reader."""
    lines = [
        (
            row.who,
            f"{1000 * row.median_s:8.1f}",
            f"{row.ratio_to_eager:6.1f} x",
            "?" if row.peak_mb is None else megabytes(row.peak_mb),
        )
        for row in rows
    ]
    listed = table(lines, ("who", "ms of CPU", "speed-up", "memory"))
    return "\n".join([f"{name}: {bench.about}", "", listed, "", *notes, ""])
