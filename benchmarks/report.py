"""What was measured, for a terminal and for docs/performance.md."""

from collections.abc import Mapping, Sequence

from benchmarks import machine
from benchmarks.goals import Result
from benchmarks.measure import Measured, Row
from benchmarks.whole_runs import RunRow
from repro.text import megabytes, table

HEADER = ("who", "kind", "ms of CPU", "95 %", "x eager", "x best peer", "memory")
GOALS_HEADER = ("benchmark", "who", "goal", "measured", "95 %", "against", "met")
RUNS_HEADER = ("command", "wall s", "CPU s", "peak memory", "CPU s by stage")
LEGEND = (
    '"x eager" and "x best peer" are how many times faster a contender is than the plain eager torch in the first row, '
    "and than the fastest peer that computes the same gradient. Kinds: ours; peer, exact and what a user would take "
    "instead; reference, plain eager torch, which all are checked against; other, another gradient."
)
Profile = Mapping[str, float]


def terminal(measured: Measured) -> str:
    """A benchmark for a terminal."""
    listed = table([cells(row) for row in measured.rows], HEADER)
    return "\n".join([f"{measured.name}: {measured.bench.about}", "", listed, "", *measured.notes, ""])


def terminal_run(row: RunRow) -> str:
    """A whole run for a terminal."""
    return table([run_cells(row)], RUNS_HEADER) + "\n"


def terminal_goals(results: Sequence[Result]) -> str:
    """The goals for a terminal."""
    return table([goal_cells(result) for result in results], GOALS_HEADER)


def document(
    measured: Sequence[Measured],
    runs: Sequence[RunRow],
    results: Sequence[Result],
    profiles: Mapping[tuple[str, str], Profile],
) -> str:
    """docs/performance.md. `profiles`: for each missed (benchmark, contender), where its time goes."""
    parts = ["# Performance", "Written by `make bench`.", machine.description(), LEGEND]
    if results:
        parts += ["## Goals", markdown(GOALS_HEADER, [goal_cells(result) for result in results])]
        parts += misses(results, profiles)
    for one in measured:
        about = f"{one.bench.about[0].upper()}{one.bench.about[1:]}."
        parts += [f"## {one.name}", about, markdown(HEADER, [cells(row) for row in one.rows]), " ".join(one.notes)]
    if runs:
        parts += ["## Whole runs", "From the shell to the record, each in a fresh process; medians."]
        parts.append(markdown(RUNS_HEADER, [run_cells(row) for row in runs]))
    return "\n\n".join(parts) + "\n"


def misses(results: Sequence[Result], profiles: Mapping[tuple[str, str], Profile]) -> list[str]:
    """One list of sentences, one for each goal that was missed."""
    lines = []
    for result in results:
        if not result.met:
            shares = profiles.get((result.goal.bench, result.goal.who), {})
            listed = ", ".join(f"`{name}` {share:.0%}" for name, share in shares.items())
            lines.append(f"- Missed: {result.sentence}" + (f" Most of its time: {listed}." if listed else ""))
    return ["\n".join(lines)] if lines else []


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    eager, peer = row.ratio_to_eager, row.ratio_to_best_peer
    return (
        row.who,
        row.kind,
        _ms(row.median_s),
        f"{_ms(row.low_s)} - {_ms(row.high_s)}",
        "" if eager is None else f"{eager:.2f}",
        "" if peer is None else f"{peer:.2f}",
        "?" if row.peak_mb is None else megabytes(row.peak_mb),
    )


def goal_cells(result: Result) -> tuple[str, ...]:
    """A goal as text."""
    goal, ratio = result.goal, result.ratio
    interval = f"{ratio.low:.2f} - {ratio.high:.2f}"
    return goal.bench, goal.who, goal.text, f"{ratio.value:.2f}", interval, result.rival, "yes" if result.met else "no"


def run_cells(row: RunRow) -> tuple[str, ...]:
    """A whole run as text."""
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in row.stages_s.items())
    return f"`{row.who}`", f"{row.wall_s.value:.1f}", f"{row.median_s:.1f}", megabytes(row.peak_mb or 0), stages


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"
