"""One benchmark: compare the contenders, time them, measure their memory; each in fresh processes."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import statistics
from benchmarks.catalogue import Bench
from benchmarks.names import CONTENDERS, Kind, jax_is_here, needs_jax
from repro.errors import RunFailed

ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Row:
    """One contender in one size, per iteration (of windows: per window).

    `median_s`, `low_s`, `high_s`: CPU seconds, the median of the turns and its 95 % interval. `ratio_to_eager`: how
    many times faster than the plain eager torch that comes first (None where there is none). `ratio_to_best_peer`: the
    same to the fastest peer of the same run that computes the same gradient (None where there is none). `peak_mb`: the
    memory that an iteration adds (None if the system does not report it). `variant` is the task's, `kind` as in
    `benchmarks.names`.
    """

    bench: str
    who: str
    median_s: float
    ratio_to_eager: float | None
    peak_mb: float | None
    variant: str
    kind: Kind
    low_s: float
    high_s: float
    ratio_to_best_peer: float | None


Turns = dict[str, list[float]]  # contender -> CPU seconds of its turns


@dataclasses.dataclass(frozen=True)
class Measured:
    """A benchmark's rows, the turns of each size, and sentences for below the table."""

    name: str
    bench: Bench
    rows: list[Row]
    turns: list[Turns]
    notes: list[str]


class Clock:
    """How many seconds are left of a limit in minutes (None: no limit)."""

    def __init__(self, minutes: float | None) -> None:
        self.end = None if minutes is None else time.monotonic() + 60 * minutes

    def left(self) -> float:
        """Zero when the limit has passed."""
        return 1e9 if self.end is None else max(self.end - time.monotonic(), 0.0)


def measure(name: str, bench: Bench, clock: Clock) -> Measured:
    """All sizes of a benchmark. Raises RunFailed where a contender computes something else, or a process fails."""
    who = [contender for contender in bench.who if jax_is_here() or not needs_jax(contender)]
    rows: list[Row] = []
    turns: list[Turns] = []
    threads, agreed = [], []
    for size in bench.sizes:
        print(f"{name}: {', '.join(f'{k} = {v}' for k, v in size.items())} ...", file=sys.stderr, flush=True)
        request: dict[str, Any] = {"task": bench.task, "size": size}
        agreed.append(ask(measure="agreement", who=who, **request))
        timed = ask(measure="timing", who=who, turns=bench.turns, seconds=clock.left(), **request)
        turns.append(timed["cpu_s"])
        threads.append(timed["threads"])
        memory = {one: ask(measure="memory", who=one, **request)["peak_mb"] for one in who}
        rows += [row_of(name, bench.name_of(one, size), one, turns[-1], memory[one]) for one in who]
    notes = [agreement(agreed), timing(turns, threads), *of_one(bench, turns), *bench.notes]
    if len(who) < len(bench.who):
        notes.append("JAX is not installed: its rows are left out (`make bench` installs it, or the extra `bench`).")
    return Measured(name, bench, rows, turns, notes)


def row_of(bench: str, label: str, who: str, turns: Turns, peak_mb: float | None) -> Row:
    """The row of a contender."""
    contender, first, mine = CONTENDERS[who], next(iter(turns)), statistics.median(turns[who])
    eager = statistics.ratio(turns[first], turns[who]).value if CONTENDERS[first].kind == "reference" else None
    peer = best(turns, [name for name in turns if CONTENDERS[name][1:] == ("peer", contender.variant)])
    to_peer = statistics.ratio(turns[peer], turns[who]).value if peer else None
    return Row(bench, label, mine.value, eager, peak_mb, contender.variant, contender.kind, *mine[1:], to_peer)


def best(turns: Turns, names: Sequence[str]) -> str | None:
    """The fastest of some contenders, of those that were timed."""
    timed = [name for name in names if name in turns]
    return min(timed, key=lambda name: statistics.median(turns[name]).value) if timed else None


def agreement(sizes: list[dict[str, Any]]) -> str:
    """How equal the contenders' gradients were."""
    exact = max(size["exact"] for size in sizes)
    rates = sorted({f"{size['rate_hz']:.0f} Hz" for size in sizes if size["rate_hz"] is not None})
    sentence = (
        f"Before timing, the gradients of all contenders were compared with those of plain eager torch: in float64 "
        f"they differed by at most {exact:.0e} of the largest entry"
    )
    singles = [size["single"] for size in sizes if size["single"] is not None]
    if singles:
        sentence += f", in float32, as timed, by at most {max(singles):.0e}"
    spikes = sorted({size["spikes"] for size in sizes if size["spikes"]})
    if spikes:
        sentence += f", where {' or '.join(spikes)} was the same"
    return sentence + (f" (mean firing rate {', '.join(rates)})." if rates else ".")


def timing(turns: list[Turns], threads: list[float]) -> str:
    """How often, and how."""
    counts = sorted({len(next(iter(series.values()))) for series in turns})
    return (
        f"CPU time, median of {' or '.join(map(str, counts))} turns with its 95 % bootstrap interval, on one thread "
        f"(CPU time at most {max(threads):.2f} of wall time). A turn has all contenders in random order in one "
        "process, two iterations each, of which the second counts. Memory: what an iteration adds, in a separate "
        "process; of JAX, what XLA allocates."
    )


def of_one(bench: Bench, turns: list[Turns]) -> list[str]:
    """What each contender takes for one `unit` of a batch, in each size."""
    if not bench.unit:
        return []
    sentences = []
    for who in turns[0]:
        times = [
            f"{1000 * statistics.median(series[who]).value / size['batch_size']:.3g} ({size['batch_size']})"
            for size, series in zip(bench.sizes, turns, strict=True)
        ]
        sentences.append(f"Milliseconds a {bench.unit} (size of the batch), {who}: {', '.join(times)}.")
    return sentences


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
        raise RunFailed(f"a benchmark's process ended with status {done.returncode}; its message is above")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "failed" in answer:
        raise RunFailed(answer["failed"])
    return answer
