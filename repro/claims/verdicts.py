"""The verdicts that were recorded when results were accepted, so that a worse one is noticed."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol

import pydantic

from repro.errors import UserError
from repro.records.files import read_json, write_atomically
from repro.records.store import VERDICTS

# The verdicts, the best first, and how they rank: a lower one is worse. docs/records.md has the whole rules.
RANK = {
    "reproduced": 5, "fitted": 4, "direction only": 3, "inconclusive": 2, "not reproduced": 1,
    "not run": 0, "no data": 0, "no claim": 0,
}  # fmt: skip
MEANINGS = {
    "reproduced": "our 95 % interval is inside the tolerance, and every stated order holds (p < 0.05)",
    "fitted": "the same, but our reading of the text was chosen by this very number",
    "direction only": "a stated order holds in the mean, but is not significant or the number is off",
    "inconclusive": "our interval overlaps an edge of the tolerance, or one seed has none: more seeds would decide",
    "not reproduced": "a stated order fails, or our interval is outside the tolerance and no order is stated",
    "not run": "no finished run at the paper's size, or none of the planned seeds",
    "no data": "licensed, not part of the repository",
    "no claim": "a picture without a number, or another group's number",
}
JUDGED = tuple(verdict for verdict, rank in RANK.items() if rank)
FORMER = {"ordering only": "direction only"}  # a word of the first edition's rules, and what it is called now
_READER = pydantic.TypeAdapter(dict[str, Literal[(*RANK, *FORMER)]])  # type: ignore[valid-type]


class Judged(Protocol):
    """Anything with the id of a claim and a verdict on it."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def verdict(self) -> str: ...  # noqa: D102


def worse(verdict: str, recorded: str) -> bool:
    """Whether a verdict ranks below the recorded one.

    Losing the runs that settled a claim counts as worse, however it had been settled.
    """
    return RANK[verdict] < RANK[recorded]


def read_verdicts(folder: Path) -> dict[str, str]:
    """The recorded verdicts of a folder of accepted records, claim id -> verdict; empty when none were recorded.

    Raises UserError when the file is not what `write_verdicts` writes.
    """
    path = folder / VERDICTS
    if not path.exists():
        return {}
    try:
        read = _READER.validate_python(read_json(path))
    except pydantic.ValidationError:
        raise UserError(
            f"{path} does not map claims to verdicts; `git checkout` restores it, `repro accept` writes it"
        ) from None
    return {name: FORMER.get(verdict, verdict) for name, verdict in read.items()}


def write_verdicts(folder: Path, results: Iterable[Judged]) -> None:
    """Record the verdicts of `results`, whole or not at all; those of other claims stay.

    Raises UserError when the file that is there cannot be read.
    """
    verdicts = read_verdicts(folder) | {result.id: result.verdict for result in results}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / VERDICTS, (json.dumps(verdicts, indent=1, sort_keys=True) + "\n").encode())
