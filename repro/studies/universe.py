"""paper_figures/readings.toml: which studies show a figure's claims in all readings of the text."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from repro.claims.multiverse import Reading, Role
from repro.claims.rows import A_TEXT
from repro.errors import UserError
from repro.jobs.job import Point, settings_text
from repro.records.files import read_toml
from repro.records.store import CHECKOUT
from repro.records.validation import Strict, parsed
from repro.runs.config import Value
from repro.studies import studyfile
from repro.studies.study import Study

READINGS = CHECKOUT / "paper_figures" / "readings.toml"
MEASURE = "measure"  # the name of a measure beside the keys of a reading
A_TABLE = "a table of keys and values, one for each key of the study's grid"


class Entry(Strict):
    """A row of readings.toml."""

    study: str = Field(description=A_TEXT)
    name: str = Field("", description=A_TEXT)
    others: str = Field("", description="the name of a study")
    measures: dict[str, str] = Field({}, description='a table such as { "mean of 20" = "{}_mean_of_20" }')
    claims: list[str] = Field([], description="a list of claims")
    chosen: dict[str, bool | int | float | str] = Field({}, description=A_TABLE)
    literal: dict[str, bool | int | float | str] = Field({}, description=A_TABLE)
    control: bool = Field(False, description="true or false")
    orders_only: bool = Field(False, description="true or false")


@dataclasses.dataclass(frozen=True)
class Universe:
    """A study whose points are readings, or controls, of a figure's claims.

    A reading takes the runs of variants that the `study` has not from the study `others`, at the same point. `measures`
    maps a name to how a metric is called by that measure ("{}_mean_of_20"): each is a reading of one and the same run.
    `chosen` and `literal` are the values of a reading; `claims` are those that it is about (all that its variants show,
    if empty). With `orders_only` numbers are not compared with printed ones: the networks are of a smaller size.
    """

    figure: str
    name: str
    study: Study
    others: Study | None
    measures: Mapping[str, str]
    claims: tuple[str, ...]
    chosen: Mapping[str, Value]
    literal: Mapping[str, Value]
    control: bool
    orders_only: bool

    def readings(self) -> list[tuple[Point, str]]:
        """Each point with each measure ("" where there is one only)."""
        return [(point, measure) for point in self.study.points for measure in self.measures or {"": ""}]

    def reading(self, point: Point, measure: str) -> Reading:
        """A reading, as text the values in which it differs from others of the study, and its roles."""
        values = [*point, *([(MEASURE, measure)] if measure else [])]
        varied = [(key, value) for key, value in values if len(self.study.grid.get(key, (1, 2))) > 1] or values
        texts = [(key, f"{value:.4g}" if isinstance(value, float) else value) for key, value in varied]
        roles: dict[Role, bool] = {
            "chosen": dict(values) == dict(self.chosen),
            "literal": dict(values) == dict(self.literal),
        }
        roles["control"] = self.control
        return Reading(
            figure=self.figure, study=self.study.name, name=self.name, values=settings_text(texts),
            roles=[role for role, holds in roles.items() if holds],
        )  # fmt: skip


def load(path: Path | None = None) -> list[Universe]:
    """The studies of all figures, in the order of the file.

    Raises UserError when the file, or one of the studies, cannot be read, or a row has an unknown key or value.
    """
    path = path or READINGS
    try:
        return [_universe(figure, row) for figure, rows in read_toml(path).items() for row in _rows(figure, rows)]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _rows(figure: str, rows: Any) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"[{figure}] should be an array of tables, [[{figure}]]")
    return rows


def _universe(figure: str, row: dict[str, Any]) -> Universe:
    entry = parsed(Entry, row, figure, "a study of readings")
    study = studyfile.load(studyfile.find(entry.study))
    others = studyfile.load(studyfile.find(entry.others)) if entry.others else None
    choices = {key for key, values in others.grid.items() if len(values) > 1} if others else set()
    if others and (others.task != study.task or not choices <= set(study.grid)):
        raise UserError(f"{study.name}: {others.name} is of another task, or varies keys that {study.name} does not")
    universe = Universe(
        figure, entry.name, study, others, entry.measures, tuple(entry.claims), entry.chosen, entry.literal,
        entry.control, entry.orders_only,
    )  # fmt: skip
    roles = {role for values in universe.readings() for role in universe.reading(*values).roles}
    for word, given in (("chosen", entry.chosen), ("literal", entry.literal)):
        if given and word not in roles:
            raise UserError(f"{study.name}: {word} is none of its readings: wants {A_TABLE}")
    return universe
