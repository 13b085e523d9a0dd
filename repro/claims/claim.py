"""What the paper claims: paper_figures/claims.toml read and checked. Light enough to list without pandas."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

import pydantic
from pydantic import Field, StringConstraints

from repro.claims.relation import Relation, parse_relations
from repro.errors import UserError
from repro.records.files import read_toml
from repro.records.store import CHECKOUT
from repro.records.validation import Strict, fault

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Model = TypeVar("Model", bound=Strict)

CLAIMS = CHECKOUT / "paper_figures" / "claims.toml"
NEEDS = {  # what a claim of a kind must state, so that it can be judged
    "value": ("variant", "metric", "claimed", "tolerance"),
    "literature": ("claimed",),
    "order": ("metric", "relations"),
    "similar": ("metric", "relations", "tolerance"),
}
Kind = Literal["value", "order", "similar", "literature", "no claim", "structural", "exact", "measured", "scaling"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
A_TEXT, A_NUMBER = "a text in quotes", "a number"


class ToleranceTable(Strict):
    """A row of [tolerances]: a width of one kind, and why it is so wide."""

    why: Text = Field(description=A_TEXT)
    factor: Annotated[float, Field(gt=1)] | None = Field(None, description="a number above 1")
    relative: Annotated[float, Field(gt=0)] | None = Field(None, description="a number above 0")
    absolute: Annotated[float, Field(gt=0)] | None = Field(None, description="a number above 0")
    ladder: Annotated[list[float], Field(min_length=2)] | None = Field(None, description="a list of numbers")


class RequirementTable(Strict):
    """A row of [requirements]."""

    metric: Text = Field(description=A_TEXT)
    least: float = Field(description=A_NUMBER)
    lacking: Text = Field(description=A_TEXT)


class ClaimRow(Strict):
    """A claim as claims.toml has it."""

    id: Text = Field(description=A_TEXT)
    panel: Text = Field(description=A_TEXT)
    kind: Kind = Field(description=f"one of {', '.join(get_args(Kind))}")
    text: Text = Field(description=A_TEXT)
    task: Text = Field(description=A_TEXT)
    variant: str = Field("", description=A_TEXT)
    metric: str = Field("", description=A_TEXT)
    claimed: float | None = Field(None, description=A_NUMBER)
    tolerance: str = Field("", description="the name of a tolerance")
    relations: list[str] = Field([], description='a list of texts such as "a < b"')
    statistic: Literal["mean", "median"] = Field("mean", description="mean or median")
    at_least: bool = Field(False, description="true or false")
    readings: int = Field(0, ge=0, description="a whole number from 0 up")
    cause: str = Field("", description=A_TEXT)
    requires: str = Field("", description="the name of a requirement")


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
        tables = read_toml(path)
    except UserError as error:
        raise UserError(f"cannot read the claims in {path}: {error}") from None
    try:
        return _claims(tables)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _claims(tables: dict[str, Any]) -> list[PaperClaim]:
    named = {key: _table(tables, key) for key in ("tolerances", "requirements", "licences")}
    tolerances = {name: _tolerance(name, row) for name, row in named["tolerances"].items()}
    requirements = {name: _requirement(name, row) for name, row in named["requirements"].items()}
    claims = []
    for figure, rows in tables.items():
        if not isinstance(rows, list):
            raise UserError(f"[{figure}] should be an array of claims, [[{figure}]]")
        claims += [_claim(figure, row, tolerances, requirements, named["licences"]) for row in rows]
    if not claims:
        raise UserError("it has no claims; `git checkout` restores what was committed")
    ids = [claim.id for claim in claims]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise UserError(f"more than one claim has the id {min(twice)!r}; ids are unique")
    return claims


def _table(tables: dict[str, Any], key: str) -> dict[str, Any]:
    table = tables.pop(key, {})
    if not isinstance(table, dict):
        raise UserError(f"{key} should be a table, [{key}]")
    return table


def _parsed(model: type[Model], row: Any, name: str, of: str) -> Model:
    """A row as its model. Raises UserError, which begins with the row's name."""
    if not isinstance(row, dict):
        raise UserError(f"{name} should be a table of keys and values")
    try:
        return model.model_validate(row)
    except pydantic.ValidationError as error:
        raise UserError(f"{name}: {fault(error, row, model, of)}") from None


def _tolerance(name: str, row: Any) -> Tolerance:
    table = _parsed(ToleranceTable, row, f"tolerance {name!r}", "a tolerance")
    given = {kind: size for kind, size in table.model_dump(exclude={"why"}).items() if size is not None}
    if len(given) != 1:
        raise UserError(f"tolerance {name!r} wants `why` and one of factor, relative, absolute, ladder")
    ((kind, size),) = given.items()
    return Tolerance(kind, 1, tuple(size), table.why) if kind == "ladder" else Tolerance(kind, size, (), table.why)


def _requirement(name: str, row: Any) -> Requirement:
    return Requirement(**_parsed(RequirementTable, row, f"requirement {name!r}", "a requirement").model_dump())


def _claim(
    figure: str,
    row: Any,
    tolerances: Mapping[str, Tolerance],
    requirements: Mapping[str, Requirement],
    licences: Mapping[str, Any],
) -> PaperClaim:
    name = str(row.get("id", f"a claim of {figure}")) if isinstance(row, dict) else f"a claim of {figure}"
    data = _parsed(ClaimRow, row, name[:100], "a claim")
    if missing := [key for key in NEEDS.get(data.kind, ()) if key not in data.model_fields_set]:
        raise UserError(f"{name}: a claim of kind {data.kind!r} needs {', '.join(missing)}")
    for key, known in (("tolerance", tolerances), ("requires", requirements)):
        if key in data.model_fields_set and getattr(data, key) not in known:
            raise UserError(f"{name}: unknown {key} {getattr(data, key)!r}; known: {', '.join(known)}")
    try:
        chains = [parse_relations(chain, data.metric) for chain in data.relations]
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    values = data.model_dump() | {
        "relations": tuple(relation for chain in chains for relation in chain),
        "tolerance": tolerances.get(data.tolerance),
        "requires": requirements.get(data.requires),
    }
    return PaperClaim(figure=figure, licence=str(licences.get(data.task, "")), **values)
