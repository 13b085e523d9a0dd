"""From a study's TOML file to a `Study`: every key, type and range is checked here, before anything is written."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from repro.errors import UserError, unknown
from repro.jobs.job import Direction, Pruning
from repro.jobs.ranges import Range
from repro.records.files import read_toml
from repro.records.store import HOME
from repro.records.validation import Strict, parsed
from repro.runs.config import Value, field_name
from repro.runs.registry import get_task
from repro.runs.task import Task
from repro.studies.checks import MOST_RUNS, check
from repro.studies.spec import Objective, Sampler
from repro.studies.study import Study
from repro.studies.values import checked_range, checked_setting, checked_values, require_different

STUDIES = HOME / "sweeps"
LARGEST_SEED = 2**31 - 1

Text = Annotated[str, StringConstraints(pattern=r"\S", max_length=10_000)]
Names = Annotated[list[Text], BeforeValidator(lambda v: [v] if isinstance(v, str) else v), Field(min_length=1)]
Metric = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Metrics = Annotated[list[Metric], BeforeValidator(lambda v: [v] if isinstance(v, str) else v), Field(min_length=1)]
Seeds = Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]], Field(min_length=1)]
Setting = bool | int | float | str
Positive = Annotated[float, Field(gt=0)]
Number = int | float

A_NAME, A_METRIC = "a name, or a list of names", "a metric's name: small letters, digits and _ only"
SEEDS, DIRECTIONS = "a list of seeds such as [100, 101, 102]", "minimize or maximize"
WHOLE, GRID = "a whole number from 1 up", "a list of values (no nan, no inf) for each key"


class PruningTable(Strict):
    """[pruning] of a study file."""

    metric: Metric = Field(description=A_METRIC)
    direction: Direction = Field("minimize", description=DIRECTIONS)
    rule: Literal["median", "hyperband"] = Field("median", description="median or hyperband")
    first: int = Field(ge=1, description=WHOLE)
    every: int = Field(ge=1, description=WHOLE)
    finished: int = Field(5, ge=1, description=WHOLE)
    last: int = Field(0, ge=0, description="a whole number from 0 up")
    factor: int = Field(3, ge=2, le=100, description="a whole number from 2 to 100")


class RangeTable(Strict):
    """A line of [ranges]."""

    low: Number = Field(description="a number")
    high: Number = Field(description="a number")
    log: bool = Field(False, description="true or false")
    values: int | None = Field(None, ge=2, le=1000, description="a whole number from 2 to 1000")
    first: Annotated[list[Number], Field(min_length=1)] | None = Field(None, description="a list of numbers")


class SamplerTable(Strict):
    """[sampler] of a study file."""

    name: Literal["grid", "random", "tpe"] = Field(description="grid, random or tpe")
    points: int | None = Field(None, ge=1, le=MOST_RUNS, description=WHOLE)
    hours: Positive | None = Field(None, description="a number above 0")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="a whole number from 0 up")


class StudyFile(Strict):
    """A study file as it is written."""

    about: Text = Field(description="a text in quotes")
    task: Text = Field(description="a text in quotes")
    variants: Names = Field(description=A_NAME)
    profile: Text = Field(description="a text in quotes")
    settings: dict[str, Setting] = Field({}, description="a number, a text in quotes, true or false")
    grid: dict[str, Annotated[list[Setting], Field(min_length=1)]] = Field({}, description=GRID)
    ranges: dict[str, RangeTable] = Field(
        {}, description="a table such as {low = 0.2, high = 2.0, log = true} for each key"
    )
    sampler: SamplerTable | None = Field(None, description="a table of its keys")
    seeds: Seeds = Field(description=SEEDS)
    best: int = Field(0, ge=0, description="a whole number from 0 up")
    best_seeds: Seeds | None = Field(None, description=SEEDS)
    metric: Metrics = Field(description=A_METRIC)
    direction: Direction = Field("minimize", description=DIRECTIONS)
    objective: Objective = Field("mean", description="mean or median (over seeds)")
    pruning: PruningTable | None = Field(None, description="a table of its keys")
    printed: dict[str, Positive] = Field({}, description="a number above 0")


def find(name: str) -> Path:
    """The file of a study: a name in sweeps/, or a path to a .toml file. Raises UserError when there is none."""
    if name.endswith(".toml") or "/" in name:
        if Path(name).is_file():
            return Path(name)
        raise UserError(f"no study file {name}; STUDY is a name in sweeps/ or a path to a .toml file")
    known = sorted(path.stem for path in STUDIES.glob("*.toml"))
    if name not in known:
        raise unknown("study", name, known, of="sweeps/") if known else UserError(f"no study {name!r}: no sweeps/ here")
    return STUDIES / f"{name}.toml"


def load(path: Path) -> Study:
    """Read and check a study file.

    Raises UserError, naming the file, when it cannot be read, lacks a key or has one too many, or when a value is of
    the wrong type, out of range or at odds with another.
    """
    file = parsed(StudyFile, read_toml(path), str(path), "a study")
    try:
        return _study(path.stem, file)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _study(name: str, file: StudyFile) -> Study:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(f"the file's name {name!r} names the study: letters, digits, _ . - only")
    for key in ("variants", "seeds", "best_seeds", "metric"):
        require_different(getattr(file, key) or (), key)
    if file.best and file.best_seeds is None:
        raise UserError(f"best_seeds is missing: wants {SEEDS}")
    task, pruning, sampler = get_task(file.task), file.pruning, _sampler(file)
    grid = {key: checked_values(task, key, values) for key, values in _by_field(task, file.grid, "grid").items()}
    ranges, spread = _ranges(task, file)
    _check_keys(file, grid, {**ranges, **spread})
    study = Study(
        name=name,
        about=file.about,
        task=task.name,
        variants=tuple(file.variants),
        profile=file.profile,
        settings={k: checked_setting(task, k, v) for k, v in _by_field(task, file.settings, "settings").items()},
        grid={**grid, **spread},
        seeds=tuple(file.seeds),
        best=file.best,
        best_seeds=tuple(file.best_seeds or ()),
        metrics=tuple(file.metric),
        direction=file.direction,
        pruning=Pruning(**pruning.model_dump()) if pruning else None,
        printed=file.printed,
        objective=file.objective,
        ranges=ranges,
        sampler=sampler,
    )
    check(study, task)
    return study


def _ranges(task: Task, file: StudyFile) -> tuple[dict[str, Range], dict[str, tuple[Value, ...]]]:
    """The ranges of a sampler; for a grid, values that are evenly spaced over them."""
    drawn = file.sampler is not None and file.sampler.name != "grid"
    ranges, spread = {}, {}
    for key, line in _by_field(task, file.ranges, "ranges").items():
        values = checked_range(task, key, line.low, line.high, line.log, line.first or ())
        if drawn and line.values:
            raise UserError(f"ranges.{key}.values: is for a grid; {file.sampler.name} draws numbers")  # type: ignore[union-attr]
        if drawn:
            ranges[key] = values
        elif line.values is None:
            raise UserError(
                f"ranges.{key}.values is missing: a grid wants their number; random and tpe draw without it"
            )
        elif line.first:
            raise UserError(f"ranges.{key}.first: is for the samplers random and tpe")
        else:
            spread[key] = values.spread(line.values)
    return ranges, spread


def _check_keys(file: StudyFile, grid: Mapping[str, Any], ranges: Mapping[str, Any]) -> None:
    if not grid and not ranges:
        raise UserError(f"grid {'= {}' if 'grid' in file.model_fields_set else 'is missing'}: wants {GRID}")
    if both := sorted(set(grid) & set(ranges)):
        raise UserError(f"{both[0]} is both in [grid] and in [ranges]")
    if both := sorted(set(file.metric) & {*grid, *ranges}):
        raise UserError(f"{both[0]} is both a metric and a key: a table has one column of that name")


def _sampler(file: StudyFile) -> Sampler | None:
    table = file.sampler
    if table is None or table.name == "grid":
        if table and (table.points or table.hours):
            raise UserError("[sampler] grid takes every point: points and hours are for random and tpe")
        return None
    if table.points is None:
        raise UserError(f"sampler.points is missing: wants {WHOLE}, the most that are drawn")
    if len(file.metric) > 1:
        raise UserError("[sampler] wants one metric: what is drawn next depends on it")
    return Sampler(table.name, table.points, table.hours, table.seed)


def _by_field(task: Task, table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A table of config values with the fields' names of today."""
    fields = [field_name(task.config, name) for name in table]
    require_different(fields, key)
    return dict(zip(fields, table.values(), strict=True))
