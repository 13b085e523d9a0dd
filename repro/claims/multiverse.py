"""In how many readings of the text each claim holds: the file that `repro readings` writes and `repro check` prints."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pydantic

from repro.claims.claim import PaperClaim
from repro.errors import UserError
from repro.records.files import read_json, write_atomically
from repro.records.store import CHECKOUT
from repro.records.validation import Strict

HOLDS_IN = CHECKOUT / "paper_figures" / "holds_in.json"
YES, NO, OPEN = "yes", "no", "unfinished"
CHOSEN, LITERAL, CONTROL = "chosen", "literal", "control"
DEPENDENT = "reading-dependent"
Holds = Literal["yes", "no", "unfinished"]
Role = Literal["chosen", "literal", "control"]


class Reading(Strict):
    """A reading of the text: the study that trains it, what its readings have in common, and its values as text.

    `roles` has "chosen" (the reading that our figures use), "literal" (each value as the text has it) and "control" (no
    reading: networks in which a claim should fail).
    """

    figure: str
    study: str
    name: str
    values: str
    roles: list[Role]

    @property
    def counts(self) -> bool:
        """Whether it is a reading, and no control."""
        return CONTROL not in self.roles

    def __str__(self) -> str:
        """ "binary variable z_i alone: target_scale=raw task_loss=mean"."""
        return f"{self.name}: {self.values}" if self.name else self.values


class _Row(Reading):
    """A line of the file: claim -> whether it holds, and our numbers."""

    claims: dict[str, tuple[Holds, str]]


@dataclasses.dataclass(frozen=True)
class ReadingResult:
    """One claim in one reading. `holds` is "unfinished" where runs are missing, or were given up before they could show
    it; `observed` are our numbers."""

    claim: str
    reading: Reading
    holds: Holds
    observed: str


def read_results(path: Path | None = None) -> list[ReadingResult]:
    """The results, in the order of the file; none where there is no file. Raises UserError when it is not ours."""
    path = path or HOLDS_IN
    if not path.exists():
        return []
    try:
        rows = pydantic.TypeAdapter(list[_Row]).validate_json(json.dumps(read_json(path)))
    except pydantic.ValidationError:
        raise UserError(f"{path} is not what `repro readings` writes; run it again") from None
    of_row = [(row, Reading(**row.model_dump(exclude={"claims"}))) for row in rows]
    return [ReadingResult(claim, reading, *cell) for row, reading in of_row for claim, cell in row.claims.items()]


def write_results(results: Iterable[ReadingResult], path: Path | None = None) -> None:
    """Write the results, a line a reading, whole or not at all."""
    rows: dict[str, dict[str, object]] = {}
    for result in results:
        head = result.reading.model_dump()
        row = rows.setdefault(json.dumps(head), head | {"claims": {}})
        row["claims"] |= {result.claim: [result.holds, result.observed]}  # type: ignore[operator]
    lines = ",\n".join(json.dumps(row) for row in rows.values())
    write_atomically(path or HOLDS_IN, f"[\n{lines}\n]\n".encode())


def with_counts(claims: Sequence[PaperClaim], results: Sequence[ReadingResult]) -> list[PaperClaim]:
    """The claims with `holds_in` where there are results."""
    by_claim: dict[str, list[ReadingResult]] = {}
    for result in results:
        by_claim.setdefault(result.claim, []).append(result)
    return [dataclasses.replace(claim, holds_in=count_text(by_claim.get(claim.id, ()))) for claim in claims]


def count_text(results: Sequence[ReadingResult]) -> str:
    """ "holds in 5 of 48 readings"; "holds in 1 of 48 readings: reading-dependent" if only in the chosen one; with
    named readings beside others "holds in 1 of 4 readings (with a fall-off: 1 of 2)"; empty where no reading has all
    its runs. Controls do not count."""
    listed = [result for result in results if result.reading.counts]
    known = [result for result in listed if result.holds != OPEN]
    holding = [result for result in known if result.holds == YES]
    if not known:
        return ""
    text = f"holds in {len(holding)} of {len(known)} readings"
    if len(known) < len(listed):
        return f"{text} that are finished, of {len(listed)}{_by_name(known)}"
    return text + _by_name(known) + (f": {DEPENDENT}" if is_dependent(results) else "")


def _by_name(known: Sequence[ReadingResult]) -> str:
    """The same count of readings that have a name; empty where all have the same."""
    names = dict.fromkeys(result.reading.name for result in known)
    parts = []
    for name in filter(None, names if len(names) > 1 else ()):
        of_name = [result.holds == YES for result in known if result.reading.name == name]
        parts.append(f"{name}: {sum(of_name)} of {len(of_name)}")
    return f" ({', '.join(parts)})" if parts else ""


def is_dependent(results: Sequence[ReadingResult]) -> bool:
    """Whether the claim holds in the chosen reading and in no other, all being finished."""
    listed = [result for result in results if result.reading.counts]
    holding = [result for result in listed if result.holds == YES]
    finished = all(result.holds != OPEN for result in listed)
    return finished and len(listed) > 1 and len(holding) == 1 and CHOSEN in holding[0].reading.roles
