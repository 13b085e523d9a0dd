"""Verdicts as text for a terminal."""

import collections
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from repro.claims.claim_result import ClaimResult
from repro.claims.multiverse import DEPENDENT
from repro.claims.regions import span
from repro.claims.verdicts import JUDGED, MEANINGS, RANK
from repro.text import aligned, format_number

WIDTH = 100  # of a terminal that does not state its own
LEFT_OUT = ("tolerance", "panel")  # the columns that a narrow terminal does without, in this order
ORDER = tuple(RANK)
COLOURS = dict(zip(ORDER, (32, 36, 33, 35, 31), strict=False))  # green, cyan, yellow, magenta, red
UNJUDGED = {verdict: MEANINGS[verdict] for verdict, rank in RANK.items() if not rank}
INDICATIVE = "* indicative: fewer seeds than three, or than planned"
MARKS = {"median": "m", "share": "s"}  # of a statistic that is no mean
MEANING = {"median": "m median over seeds (Kaplan-Meier)", "share": "s share of the runs that meet the condition"}
COLUMNS: dict[str, Callable[[ClaimResult], str]] = {
    "claim": lambda r: r.id,
    "panel": lambda r: r.panel,
    "paper": lambda r: f"{r.claimed:g}" if isinstance(r.claimed, float) else r.kind,
    "tolerance": lambda r: r.tolerance,
    "ours": lambda r: _number(r) + _mark(r),
    "95 % interval": lambda r: span(r.low, r.high),
    "seeds": lambda r: _of_all(r),
    "verdict": lambda r: r.verdict + "*" * r.indicative,
}


def format_table(results: Sequence[ClaimResult], why: bool = False, width: int = WIDTH) -> str:
    """One row a claim that was judged, one line for all that were not, and the tally.

    `why` adds the reasons, and the results of runs that give no verdict. A verdict with an asterisk is indicative: it
    rests on too few seeds. Columns are left out where `width` is too narrow for all.
    """
    if not results:
        return "no claims"
    judged = [r for r in results if r.n_seeds or r.verdict in JUDGED]
    lines: list[str] = []
    if judged:
        texts = _rows(judged, width)
        lines = [texts[0], "-" * max(map(len, texts))]
        for text, result in zip(texts[1:], judged, strict=True):
            lines += [text, *_wrapped(result.reason, width, "    ")] if why else [text]
        lines.append("")
    for verdict, because in UNJUDGED.items():
        others = [r for r in results if r.verdict == verdict and r not in judged]
        if others:
            lines += _wrapped(f"{verdict} ({because}): {', '.join(r.id for r in others)}", width, "", "    ")
        for r in results if why else ():
            if r.verdict == verdict and r.substitute_note:
                lines += _wrapped(f"{r.id}: {r.substitute_note}", width, "    ", "        ")
    lines += _wrapped_tally(results, width)
    if dependent := ", ".join(r.id for r in results if r.holds_in.endswith(DEPENDENT)):
        lines += _wrapped(f"{DEPENDENT} (they hold in the chosen reading alone): {dependent}", width, "", "    ")
    lines += _wrapped(legend(judged), width, "")
    lines += [INDICATIVE] * any(r.indicative for r in results)
    return "\n".join(lines)


def format_brief(results: Sequence[ClaimResult], width: int = WIDTH, colour: bool = False) -> str:
    """The tally, then one line a claim: verdict, id, seeds, and our result beside the paper's, cut off at `width`."""
    if not results:
        return "no claims"
    lines = _wrapped_tally(results, width)
    rows = [(COLUMNS["verdict"](r), r.id, _seeds(r), compare(r)) for r in results]
    for text, result in zip(aligned(rows), results, strict=True):
        text = text if len(text) <= width else f"{text[: width - 3].rstrip()}..."
        word = COLUMNS["verdict"](result)
        lines.append(paint(word, result.verdict) + text[len(word) :] if colour else text)
    return "\n".join([*lines, INDICATIVE] if any(r.indicative for r in results) else lines)


def tally(results: Sequence[ClaimResult]) -> str:
    """ "27 claims: 14 reproduced, 2 direction only, 11 not reproduced"."""
    counts = collections.Counter(r.verdict for r in results)
    return f"{len(results)} claims: {', '.join(f'{counts[v]} {v}' for v in ORDER if counts[v])}"


def legend(results: Sequence[ClaimResult]) -> str:
    """What the marks behind numbers mean; empty where all are means."""
    used = {r.statistic for r in results if _mark(r)}
    return "; ".join([text for name, text in MEANING.items() if name in used] + ["all others are means"] * bool(used))


def paint(text: str, verdict: str) -> str:
    """The text in a verdict's colour, from green to red, or faint where there is no verdict."""
    return f"\x1b[{COLOURS.get(verdict, 2)}m{text}\x1b[0m"


def compare(result: ClaimResult) -> str:
    """ "median 73.5 (54 to 86), paper 50" or "bptt < e_prop_1"; where nothing was compared what other runs show."""
    number = f"{result.statistic} " * bool(_mark(result)) + _number(result) + _interval(result)
    if not result.n_seeds:
        return result.substitute_note
    if result.statistic == "share":
        return f"{number}, {result.claimed}"
    return f"{number}, paper {result.claimed:g}" if isinstance(result.claimed, float) else result.claimed or number


def _number(result: ClaimResult) -> str:
    """Our mean, or median, and whether it is a lower bound."""
    return "" if math.isnan(result.observed) else f"{'>= ' * result.bound}{format_number(result.observed)}"


def _interval(result: ClaimResult) -> str:
    """The 95 % interval, where there is one."""
    return f" ({span(result.low, result.high)})" if span(result.low, result.high) else ""


def _mark(result: ClaimResult) -> str:
    if result.statistic not in MARKS or result.n_seeds < 2 or math.isnan(result.observed):
        return ""
    return f" {MARKS[result.statistic]}"


def _of_all(result: ClaimResult) -> str:
    """ "10", or "9 of 10" if a mean leaves a lost run out."""
    if not result.n_lost or result.statistic != "mean":
        return str(result.n_seeds)
    return f"{result.n_seeds} of {result.n_seeds + result.n_lost}"


def _seeds(result: ClaimResult) -> str:
    if not result.n_seeds:
        return ""
    return f"{_of_all(result)} {'seed' if _of_all(result) == '1' else 'seeds'}"


def _rows(results: Sequence[ClaimResult], width: int) -> list[str]:
    """The head and one line a result, without the columns for which there is no room."""
    names = list(COLUMNS)
    for name in ("", *LEFT_OUT):
        names = [other for other in names if other != name]
        texts = aligned([names, *([COLUMNS[column](r) for column in names] for r in results)])
        if max(map(len, texts)) <= width:
            break
    return texts


def _wrapped_tally(results: Sequence[ClaimResult], width: int) -> list[str]:
    """The tally in lines that keep a number and its verdict together."""
    kept = tally(results).replace(" ", "\N{NO-BREAK SPACE}").replace(",\N{NO-BREAK SPACE}", ", ")
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in _wrapped(kept, width, "", "    ")]


def _wrapped(text: str, width: int, first: str, then: str | None = None) -> list[str]:
    inset: dict[str, Any] = {"initial_indent": first, "subsequent_indent": first if then is None else then}
    return textwrap.wrap(text, width, break_on_hyphens=False, **inset)
