"""The comparison with accepted results as text, and whether it settles what it was asked."""

import collections
import fnmatch
import itertools
import math
from collections.abc import Sequence

from repro.claims.regress import CellResult
from repro.errors import UserError
from repro.text import aligned, count

HEADER = ("", "accepted", "new", "moved by", "detects", "p", "verdict")
LEGEND = (
    "a cell is one metric of one config; in brackets: the number of seeds",
    "detects: the smallest shift that 8 of 10 repetitions would find, after Holm over all cells",
)
VERDICTS = ("same", "moved", "too few", "not run")


def select_required(results: Sequence[CellResult], patterns: Sequence[str]) -> list[CellResult]:
    """The cells that must be settled: without a pattern, all that were compared; else those that match TASK,
    TASK/VARIANT or TASK/VARIANT/METRIC (with * and ?), or "all".

    Raises UserError for a pattern that no accepted cell matches.
    """
    if not patterns:
        return [r for r in results if r.verdict != "not run"]
    chosen: list[CellResult] = []
    for pattern in patterns:
        matching = [r for r in results if pattern == "all" or fnmatch.fnmatchcase(_name(r, pattern), pattern)]
        if not matching:
            tasks = ", ".join(dict.fromkeys(r.task for r in results)) or "none"
            raise UserError(
                f"--require {pattern}: no accepted cell matches; wants all, or TASK, TASK/VARIANT or "
                f"TASK/VARIANT/METRIC, such as pattern_generation/*/nmse; tasks with accepted results: {tasks}"
            )
        chosen += [r for r in matching if r not in chosen]
    return chosen


def _name(result: CellResult, pattern: str) -> str:
    """As many parts of a cell's name as a pattern has."""
    return "/".join((result.task, result.variant, result.metric)[: pattern.count("/") + 1])


def exit_code(results: Sequence[CellResult], required: Sequence[CellResult]) -> int:
    """0: no cell moved and every required one, of at least one, is the same. 1: one moved. 3: it is not settled."""
    if any(r.verdict == "moved" for r in results):
        return 1
    return 0 if required and all(r.verdict == "same" for r in required) else 3


def format_table(results: Sequence[CellResult], required: Sequence[CellResult]) -> str:
    """One block a config, one row a metric that was compared; why cells moved; the counts; what is not settled."""
    if not results:
        return "no accepted results to compare with"
    compared = [r for r in results if r.verdict != "not run"]
    lines: list[str] = []
    rows = iter(aligned([HEADER, *map(_cells, compared)]) if compared else [])
    heading = next(rows, "")
    for (task, variant, digest), group in itertools.groupby(compared, lambda r: (r.task, r.variant, r.config_hash)):
        lines += [heading, f"{task} {variant} ({digest})"] if not lines else [f"{task} {variant} ({digest})"]
        lines += list(itertools.islice(rows, len(list(group))))
    if compared:
        lines += ["", *LEGEND, ""]
    lines += [f"moved: {r.task} {r.variant} {r.metric}: {r.reason}" for r in compared if r.verdict == "moved"]
    verdicts = collections.Counter(r.verdict for r in results)
    lines.append(f"{count(len(results), 'cell')}: {', '.join(f'{verdicts[v]} {v}' for v in VERDICTS)}")
    return "\n".join([*lines, *_unsettled(results, required)])


def _unsettled(results: Sequence[CellResult], required: Sequence[CellResult]) -> list[str]:
    """What stands between the comparison and a success, unless a cell moved."""
    if exit_code(results, required) != 3:
        return []
    if all(r.verdict == "not run" for r in results):
        return ["not settled: nothing was compared, because no new run has the config of an accepted one"]
    lines = []
    if few := [r for r in required if r.verdict == "too few"]:
        factors = [r.detectable for r in few if r.scale == "factor"]
        span = f"; they detect {_span(factors, 'factors of {:.3g}')} and more" if factors else ""
        seeds = _span([r.n_new - r.n_bits for r in few], "{:g}")
        lines.append(f"not settled: {count(len(few), 'cell')} with too few new seeds ({seeds}){span}")
        lines.append("  train more seeds, allow larger shifts (--max-shift), or name the cells that matter (--require)")
    if missing := [r.task for r in required if r.verdict == "not run"]:
        tasks = ", ".join(f"{number} of {task}" for task, number in collections.Counter(missing).items())
        lines.append(f"not settled: required, not run: {count(len(missing), 'cell')} ({tasks})")
    return lines


def _span(values: Sequence[float], form: str) -> str:
    """ "3", or "3 to 10"."""
    low, high = min(values), max(values)
    return form.format(low) + (f" to {high:.3g}" if high > low else "")


def _cells(r: CellResult) -> tuple[str, ...]:
    spread = "" if math.isnan(r.deviation) else f" +- {r.deviation:.2g}"
    return (
        f"  {r.metric}",
        f"{r.accepted:.4g}{spread} ({r.n_accepted})",
        f"{r.observed:.4g} ({r.n_new})",
        _size(r.shift, r.scale, signed=True),
        "any change" if r.n_bits == r.n_new else _size(r.detectable, r.scale),
        "" if math.isnan(r.p) else f"{r.p:.2g}",
        r.verdict,
    )


def _size(shift: float, scale: str, signed: bool = False) -> str:
    """A factor, "x 1.5", or a difference."""
    if math.isnan(shift):
        return ""
    if math.isinf(shift):
        return "nothing"
    if scale == "factor":
        return f"x {shift:.3g}" if abs(shift - 1) >= 0.1 else f"x {shift:.3f}"
    return f"{shift:+.2g}" if signed else f"+-{shift:.2g}"
