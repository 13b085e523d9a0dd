"""What the paper claims: paper_figures/claims.toml read and checked. Light enough to list without pandas."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from repro.claims.criteria import Requirement, SeedPlan, Share, Tolerance
from repro.claims.relation import Relation, parse_relations
from repro.claims.rows import ClaimRow, RequirementTable, SeedTable, ShareTable, ToleranceTable, WorseTable
from repro.errors import UserError
from repro.records.files import read_toml
from repro.records.store import CHECKOUT
from repro.records.validation import parsed
from repro.text import shortened

CLAIMS = CHECKOUT / "paper_figures" / "claims.toml"
NEEDS = {  # what a claim of a kind must state, so that it can be judged
    "value": ("variant", "metric", "claimed", "tolerance"),
    "literature": ("claimed",),
    "order": ("metric", "relations"),
    "similar": ("metric", "relations", "tolerance"),
}
INSTEAD = {"relations": "share"}  # a claim that states the second needs not state the first


@dataclasses.dataclass(frozen=True)
class PaperClaim:
    """One claim of the paper and what would settle it.

    `claimed` is the printed number (None where none is printed); `relations` are the orders and likenesses that the
    claim states, `share` what a share of the runs must do; `statistic` ("mean", or "median" by Kaplan and Meier) is how
    seeds are averaged; `at_least` means that the number is a lower bound; `fitted` that it was among those by which the
    reading was chosen, one of `readings` (0: nothing to choose); `holds_in` is in how many readings it holds, as a
    clause ("": not known); `cause` is why it was not reproduced, if that is known; `licence` why its data may be
    missing; `requires` is what each of its runs must have come to; `seeds` are those planned; `worse` maps a metric to
    "higher" or "lower".
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
    fitted: bool = False
    holds_in: str = ""
    share: Share | None = None
    seeds: SeedPlan | None = None
    worse: Mapping[str, str] = dataclasses.field(default_factory=dict)


def panels_of(text: str) -> list[str]:
    """The panels that a claim is about: "1d" -> 1d; "1d,e" -> 1d, 1e."""
    parts = [part.strip() for part in text.split(",")]
    return [part if len(part) > 1 else parts[0][:-1] + part for part in parts]


def load_claims(path: Path | None = None) -> list[PaperClaim]:
    """Read claims.toml: tables `tolerances`, `requirements`, `licences`, `seeds` and `worse`, then one array of claims
    a figure.

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
    rules = _rules(tables)
    claims = []
    for figure, rows in tables.items():
        if not isinstance(rows, list):
            raise UserError(f"[{figure}] should be an array of claims, [[{figure}]]")
        claims += [_claim(figure, row, rules) for row in rows]
    if not claims:
        raise UserError("it has no claims; `git checkout` restores what was committed")
    ids = [claim.id for claim in claims]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise UserError(f"more than one claim has the id {min(twice)!r}; ids are unique")
    return claims


class _Rules(NamedTuple):
    """The tables before the claims."""

    tolerances: Mapping[str, Tolerance]
    requirements: Mapping[str, Requirement]
    licences: Mapping[str, Any]
    seeds: Mapping[str, SeedPlan]
    worse: Mapping[str, str]


def _rules(tables: dict[str, Any]) -> _Rules:
    named = {key: _table(tables, key) for key in ("tolerances", "requirements", "licences", "seeds")}
    worse = parsed(WorseTable, _table(tables, "worse"), "[worse]", "[worse]")
    return _Rules(
        {name: _tolerance(name, row) for name, row in named["tolerances"].items()},
        {name: _requirement(name, row) for name, row in named["requirements"].items()},
        named["licences"],
        {name: _seeds(name, row) for name, row in named["seeds"].items()},
        dict.fromkeys(worse.higher, "higher") | dict.fromkeys(worse.lower, "lower"),
    )


def _table(tables: dict[str, Any], key: str) -> dict[str, Any]:
    table = tables.pop(key, {})
    if not isinstance(table, dict):
        raise UserError(f"{key} should be a table, [{key}]")
    return table


def _tolerance(name: str, row: Any) -> Tolerance:
    table = parsed(ToleranceTable, row, f"tolerance {name!r}", "a tolerance")
    given = {kind: size for kind, size in table.model_dump(exclude={"why"}).items() if size is not None}
    if len(given) != 1:
        raise UserError(f"tolerance {name!r} wants `why` and one of factor, relative, absolute, ladder")
    ((kind, size),) = given.items()
    return Tolerance(kind, 1, tuple(size), table.why) if kind == "ladder" else Tolerance(kind, size, (), table.why)


def _requirement(name: str, row: Any) -> Requirement:
    return Requirement(**parsed(RequirementTable, row, f"requirement {name!r}", "a requirement").model_dump())


def plan_of(task: str) -> SeedPlan | None:
    """The seeds that were planned for a task's accepted records; None where none were."""
    return next((claim.seeds for claim in load_claims() if claim.task == task and claim.seeds), None)


def _seeds(name: str, row: Any) -> SeedPlan:
    plan = SeedPlan(**parsed(SeedTable, row, f"seeds of {name!r}", "seeds").model_dump())
    if plan.size < 1:
        raise UserError(f"seeds of {name!r}: last = {plan.last} comes before first = {plan.first}")
    return plan


def _share(name: str, table: ShareTable | None) -> Share | None:
    if table is None:
        return None
    if (table.below is None) == (table.above is None):
        raise UserError(f"{name}: share wants `most` and one of below, above")
    return Share(**table.model_dump() | {"beside": tuple(table.beside)})


def _claim(figure: str, row: Any, rules: _Rules) -> PaperClaim:
    name = str(row.get("id", f"a claim of {figure}")) if isinstance(row, dict) else f"a claim of {figure}"
    data = parsed(ClaimRow, row, name[:100], "a claim")
    given = data.model_fields_set
    if missing := [key for key in NEEDS.get(data.kind, ()) if not {key, INSTEAD.get(key, key)} & given]:
        raise UserError(f"{name}: a claim of kind {data.kind!r} needs {', '.join(missing)}")
    for key, known in (("tolerance", rules.tolerances), ("requires", rules.requirements)):
        if key in given and getattr(data, key) not in known:
            raise UserError(f"{name}: unknown {key} {shortened(repr(getattr(data, key)))}; known: {', '.join(known)}")
    try:
        chains = [parse_relations(chain, data.metric) for chain in data.relations]
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    relations, tolerance = (
        tuple(relation for chain in chains for relation in chain),
        rules.tolerances.get(data.tolerance),
    )
    if any(r.alike for r in relations) and (tolerance is None or tolerance.kind == "ladder"):
        raise UserError(f"{name}: a likeness ('~') needs a tolerance that is a factor, relative or absolute")
    if any(r.alike for r in relations) and data.statistic == "median":
        raise UserError(f"{name}: a likeness ('~') compares means; leave statistic out")
    values = data.model_dump() | {
        "relations": relations,
        "tolerance": tolerance,
        "requires": rules.requirements.get(data.requires),
        "share": _share(name, data.share),
        "seeds": rules.seeds.get(data.task),
        "worse": rules.worse,
    }
    return PaperClaim(figure=figure, licence=str(rules.licences.get(data.task, "")), **values)
