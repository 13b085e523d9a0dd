"""What the paper claims: paper_figures/claims.toml read and checked. Light enough to list without pandas."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.claims.relation import Relation, parse_relations
from repro.errors import UserError
from repro.records.store import CHECKOUT

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

CLAIMS = CHECKOUT / "paper_figures" / "claims.toml"
KINDS = ("value", "order", "similar", "literature", "no claim", "structural", "exact", "measured", "scaling")
NEEDS = {  # what a claim of a kind must state, so that it can be judged
    "value": ("variant", "metric", "claimed", "tolerance"),
    "literature": ("claimed",),
    "order": ("metric", "relations"),
    "similar": ("metric", "relations", "tolerance"),
}
KEYS: dict[str, type | tuple[type, ...]] = {
    "id": str, "panel": str, "kind": str, "text": str, "task": str, "variant": str, "metric": str,
    "claimed": (int, float), "tolerance": str, "relations": list, "statistic": str, "at_least": bool,
    "readings": int, "cause": str, "requires": str,
}  # fmt: skip
REQUIRED = ("id", "panel", "kind", "text", "task")


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far from a number still counts as that number, and `why` so far.

    `kind` is "factor" (within a factor `size`), "relative" (a fraction `size`), "absolute" (a distance `size`) or
    "ladder" (no further than the next rung of `ladder`, both ways).
    """

    kind: str
    size: float
    ladder: tuple[float, ...]
    why: str

    def bounds(self, value: float) -> tuple[float, float]:
        """The lowest and the highest number that count as `value`."""
        if self.kind == "factor":
            return value / self.size, value * self.size
        if self.kind == "relative":
            return value * (1 - self.size), value * (1 + self.size)
        if self.kind == "absolute":
            return value - self.size, value + self.size
        below, above = [r for r in self.ladder if r < value], [r for r in self.ladder if r > value]
        return max(below, default=value), min(above, default=value)

    def __str__(self) -> str:
        """As a row of the verdicts prints it."""
        if self.kind == "factor":
            return f"factor {self.size:g}"
        if self.kind == "relative":
            return f"{100 * self.size:g} %"
        return f"+-{self.size:g}" if self.kind == "absolute" else "one rung"


@dataclasses.dataclass(frozen=True)
class Requirement:
    """A condition for a run's values to count: `metric` is at `least` so large; `lacking` describes a run that has
    not done that has not."""

    metric: str
    least: float
    lacking: str


@dataclasses.dataclass(frozen=True)
class PaperClaim:
    """One claim of the paper and what would settle it.

    `claimed` is the printed number (None where none is printed); `relations` are the orders and likenesses that the
    claim states; `statistic` ("mean" or "median") is how seeds are averaged; `at_least` means that the number is a
    lower bound; `readings` counts the readings of the text among which one was chosen (0: nothing to choose);
    `cause` is why it was not reproduced, if that is known; `licence` why its data may be missing; `requires` is
    what each of its runs must have come to.
    """

    id: str
    figure: str
    panel: str
    kind: str
    text: str
    task: str
    variant: str = ""
    metric: str = ""
    claimed: float | None = None
    tolerance: Tolerance | None = None
    relations: tuple[Relation, ...] = ()
    statistic: str = "mean"
    at_least: bool = False
    readings: int = 0
    cause: str = ""
    licence: str = ""
    requires: Requirement | None = None

    def average(self, values: "ArrayLike") -> float:
        """The claim's statistic of `values` [seed], which are at least one."""
        import numpy as np

        sample = np.asarray(values, dtype=float)
        return float(np.median(sample) if self.statistic == "median" else sample.mean())


def load_claims(path: Path | None = None) -> list[PaperClaim]:
    """Read claims.toml: tables `tolerances`, `requirements` and `licences`, then one array of claims a figure.

    Raises UserError when the file is missing, is not TOML, or has a claim that could not be judged.
    """
    path = path or CLAIMS
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the claims in {path}: {error}") from None
    tolerances = {name: _tolerance(name, table) for name, table in tables.pop("tolerances", {}).items()}
    requirements = {name: _requirement(name, table) for name, table in tables.pop("requirements", {}).items()}
    licences = tables.pop("licences", {})
    claims = []
    for figure, rows in tables.items():
        if not isinstance(rows, list):
            raise UserError(f"{path}: [{figure}] should be an array of claims, [[{figure}]]")
        claims += [_claim(figure, row, tolerances, requirements, licences) for row in rows]
    ids = [claim.id for claim in claims]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise UserError(f"{path} has more than one claim of the id {min(twice)!r}; ids are unique")
    return claims


def _tolerance(name: str, table: Mapping[str, Any]) -> Tolerance:
    kinds = [kind for kind in ("factor", "relative", "absolute", "ladder") if kind in table]
    if len(kinds) != 1 or set(table) != {kinds[0], "why"}:
        raise UserError(f"tolerance {name!r} wants `why` and one of factor, relative, absolute, ladder")
    size = table[kinds[0]]
    if kinds[0] == "ladder":
        return Tolerance("ladder", 1, tuple(size), table["why"])
    if not isinstance(size, int | float) or size <= (1 if kinds[0] == "factor" else 0):
        raise UserError(f"tolerance {name!r}: {kinds[0]} = {size}; a factor lies above 1, other widths above 0")
    return Tolerance(kinds[0], size, (), table["why"])


def _requirement(name: str, table: Mapping[str, Any]) -> Requirement:
    kinds: dict[str, type | tuple[type, ...]] = {"metric": str, "least": (int, float), "lacking": str}
    if set(table) != set(kinds) or not all(isinstance(table[key], kind) for key, kind in kinds.items()):
        raise UserError(f"requirement {name!r} wants `metric`, the number `least` and `lacking`, and nothing else")
    return Requirement(**table)


def _claim(
    figure: str,
    row: Mapping[str, Any],
    tolerances: Mapping[str, Tolerance],
    requirements: Mapping[str, Requirement],
    licences: Mapping[str, str],
) -> PaperClaim:
    _validate(figure, row, {"tolerance": tolerances, "requires": requirements})
    values = dict(row)
    try:
        chains = [parse_relations(chain, row.get("metric", "")) for chain in row.get("relations", [])]
    except UserError as error:
        raise UserError(f"{row['id']}: {error}") from None
    values["relations"] = tuple(relation for chain in chains for relation in chain)
    if "tolerance" in values:
        values["tolerance"] = tolerances[values["tolerance"]]
    if "requires" in values:
        values["requires"] = requirements[values["requires"]]
    return PaperClaim(figure=figure, licence=licences.get(row["task"], ""), **values)


def _validate(figure: str, row: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]) -> None:
    name = row.get("id", f"a claim of {figure}")
    for key, value in row.items():
        if key not in KEYS:
            raise UserError(f"{name}: unknown key {key!r}; the keys of a claim are {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]) or (isinstance(value, bool) and KEYS[key] is not bool):
            raise UserError(f"{name}: {key} = {value!r} is of the wrong type")
    if missing := [key for key in REQUIRED if key not in row]:
        raise UserError(f"{name} lacks {', '.join(missing)}")
    if row["kind"] not in KINDS:
        raise UserError(f"{name}: unknown kind {row['kind']!r}; known: {', '.join(KINDS)}")
    if missing := [key for key in NEEDS.get(row["kind"], ()) if key not in row]:
        raise UserError(f"{name}: a claim of kind {row['kind']!r} needs {', '.join(missing)}")
    for key, known in named.items():
        if key in row and row[key] not in known:
            raise UserError(f"{name}: unknown {key} {row[key]!r}; known: {', '.join(known)}")
    if row.get("statistic", "mean") not in ("mean", "median"):
        raise UserError(f"{name}: statistic is mean or median, not {row['statistic']!r}")
