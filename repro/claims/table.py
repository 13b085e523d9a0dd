"""Verdicts as text for a terminal of 100 columns."""

import collections
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from repro.claims.claim_result import ClaimResult
from repro.text import aligned, format_number

WIDTH = 100
HEADER = ("claim", "panel", "paper", "tolerance", "ours", "95 % interval", "seeds", "verdict")
ORDER = ("reproduced", "ordering only", "not reproduced", "not run", "no data", "no claim")
INSET: dict[str, Any] = {"initial_indent": "    ", "subsequent_indent": "        ", "break_on_hyphens": False}
WHY = {
    "not run": "no finished run at the paper's size",
    "no data": "licensed, not part of the repository",
    "no claim": "a picture without a number, or another group's number",
}


def format_table(results: Sequence[ClaimResult]) -> str:
    """One row and one reason a claim that was judged, one line for all that were not, and a count.

    A verdict with an asterisk is indicative: it rests on too few seeds.
    """
    if not results:
        return "no claims"
    judged = [r for r in results if r.n_seeds or r.verdict in ORDER[:3]]
    lines: list[str] = []
    if judged:
        texts = aligned([HEADER, *map(_cells, judged)])
        lines = [texts[0], "-" * WIDTH]
        for text, result in zip(texts[1:], judged, strict=True):
            lines += [text, *textwrap.wrap(result.reason, WIDTH, initial_indent="    ", subsequent_indent="    ")]
        lines.append("")
    for verdict, why in WHY.items():
        ids = ", ".join(r.id for r in results if r.verdict == verdict and r not in judged)
        text = f"{verdict} ({why}): {ids}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False) if ids else []
        notes = [f"{r.id} {r.substitute_note}" for r in results if r.verdict == verdict and r.substitute_note]
        lines += [line for text in notes for line in textwrap.wrap(text, WIDTH, **INSET)]
    counts = collections.Counter(r.verdict for r in results)
    lines.append(f"{len(results)} claims: " + ", ".join(f"{counts[v]} {v}" for v in ORDER if counts[v]))
    if any(r.indicative for r in results):
        lines.append("* indicative: too few seeds for a firm verdict")
    return "\n".join(lines)


def _cells(result: ClaimResult) -> tuple[str, ...]:
    claimed = f"{result.claimed:g}" if isinstance(result.claimed, float) else result.kind
    return (
        result.id,
        result.panel,
        claimed,
        result.tolerance,
        ">= " * result.bound + format_number(result.observed),
        "" if math.isnan(result.low) else f"{format_number(result.low)} to {format_number(result.high)}",
        str(result.n_seeds),
        result.verdict + "*" * result.indicative,
    )
