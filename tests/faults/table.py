"""The table of faults, and the page docs/reliability.md that is written from it and from the numbers of before."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.faults.outcome import BAD, SKIPPED, Fault, Outcome, as_lines
from tests.faults.sandbox import Bench

BEFORE = Path(__file__).with_name("before.json")
Row = tuple[str, str]  # the kind of fault, and the task or file
Counts = dict[str, int]  # "tried", the bad words, "skipped"
Results = Sequence[tuple[Fault, Outcome]]


def counts(results: Results) -> dict[Row, Counts]:
    """How many of each row were tried, and how many of these came out badly."""
    rows: dict[Row, Counts] = {}
    for fault, outcome in results:
        row = rows.setdefault((fault.kind, fault.where), dict.fromkeys(("tried", *BAD, SKIPPED), 0))
        if outcome.word == SKIPPED:
            row[SKIPPED] += 1
        else:
            row["tried"] += 1
            if outcome.word in BAD:
                row[outcome.word] += 1
    return rows


def total(rows: Iterable[Counts]) -> Counts:
    """The sum of some rows."""
    summed = dict.fromkeys(("tried", *BAD, SKIPPED), 0)
    for row in rows:
        for key, number in row.items():
            summed[key] += number
    return summed


def as_text(results: Results) -> str:
    """The table for a terminal, and one line for each fault that came out badly."""
    rows = counts(results)
    head = ("fault", "of", "tried", *BAD, SKIPPED)
    lines = [head, *((*row, *_cells(numbers)) for row, numbers in rows.items()), ("all", "", *_cells(total(rows.values())))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    table = "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([table, "", *as_lines(results)])


def _cells(numbers: Counts) -> tuple[str, ...]:
    return tuple(str(numbers[key]) for key in ("tried", *BAD, SKIPPED))
