"""From a study's TOML file to a `Study`: every key, type and range is checked here, before anything is written."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, Field, StringConstraints

from repro.errors import UserError, unknown
from repro.jobs.job import Direction, Pruning
from repro.records.files import read_toml
from repro.records.store import HOME
from repro.records.validation import Strict, fault
from repro.runs.config import Value, field_name, parse_value, provenance
from repro.runs.registry import get_task
from repro.runs.task import Task
from repro.studies.study import Study
from repro.text import shortened

STUDIES = HOME / "sweeps"
MOST_RUNS = 100_000
LARGEST_SEED = 2**31 - 1

Text = Annotated[str, StringConstraints(pattern=r"\S", max_length=10_000)]
Names = Annotated[list[Text], BeforeValidator(lambda v: [v] if isinstance(v, str) else v), Field(min_length=1)]
Metric = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Metrics = Annotated[list[Metric], BeforeValidator(lambda v: [v] if isinstance(v, str) else v), Field(min_length=1)]
Seeds = Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]], Field(min_length=1)]
Setting = bool | int | float | str
Positive = Annotated[float, Field(gt=0)]

A_NAME, A_METRIC = "a name, or a list of names", "a metric's name: small letters, digits and _ only"
SEEDS, DIRECTIONS = "a list of seeds such as [100, 101, 102]", "minimize or maximize"


class PruningTable(Strict):
    """[pruning] of a study file."""

    metric: Metric = Field(description=A_METRIC)
    direction: Direction = Field("minimize", description=DIRECTIONS)
    first: int = Field(ge=1, description="a whole number from 1 up")
    every: int = Field(ge=1, description="a whole number from 1 up")
    finished: int = Field(5, ge=1, description="a whole number from 1 up")


class StudyFile(Strict):
    """A study file as it is written."""

    about: Text = Field(description="a text in quotes")
    task: Text = Field(description="a text in quotes")
    variants: Names = Field(description=A_NAME)
    profile: Text = Field(description="a text in quotes")
    settings: dict[str, Setting] = Field({}, description="a number, a text in quotes, true or false")
    grid: dict[str, Annotated[list[Setting], Field(min_length=1)]] = Field(
        min_length=1, description="a list of values (no nan, no inf) for each key"
    )
    seeds: Seeds = Field(description=SEEDS)
    best: int = Field(0, ge=0, description="a whole number from 0 up")
    best_seeds: Seeds | None = Field(None, description=SEEDS)
    metric: Metrics = Field(description=A_METRIC)
    direction: Direction = Field("minimize", description=DIRECTIONS)
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
    data = read_toml(path)
    try:
        return _study(path.stem, StudyFile.model_validate(data))
    except pydantic.ValidationError as error:
        raise UserError(f"{path}: {fault(error, data, StudyFile, 'a study')}") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _study(name: str, file: StudyFile) -> Study:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(f"the file's name {name!r} names the study: letters, digits, _ . - only")
    for key in ("variants", "seeds", "best_seeds", "metric"):
        _different(getattr(file, key) or (), key)
    if file.best and file.best_seeds is None:
        raise UserError(f"best_seeds is missing: wants {SEEDS}")
    task, pruning = get_task(file.task), file.pruning
    study = Study(
        name=name,
        about=file.about,
        task=task.name,
        variants=tuple(file.variants),
        profile=file.profile,
        settings={key: _setting(task, key, value) for key, value in _by_field(task, file.settings, "settings").items()},
        grid={key: _values(task, key, values) for key, values in _by_field(task, file.grid, "grid").items()},
        seeds=tuple(file.seeds),
        best=file.best,
        best_seeds=tuple(file.best_seeds or ()),
        metrics=tuple(file.metric),
        direction=file.direction,
        pruning=Pruning(**pruning.model_dump()) if pruning else None,
        printed=file.printed,
    )
    _check_seeds(study, task)
    _check_runs(study, task)
    _check_ranking(study)
    return study


def _check_seeds(study: Study, task: Task) -> None:
    test = {seed for profile in task.profiles.values() for seed in profile.seeds}
    for key, seeds, others, whose in (
        ("seeds", study.seeds, test, f"{task.name}'s profiles, which are kept for the test"),
        ("best_seeds", study.best_seeds, test, f"{task.name}'s profiles, which are kept for the test"),
        ("best_seeds", study.best_seeds, set(study.seeds), "`seeds`: the best are run again with fresh ones"),
    ):
        if shared := sorted(others.intersection(seeds)):
            raise UserError(f"{key}: {shared[0]} is also a seed of {whose}")


def _check_runs(study: Study, task: Task) -> None:
    """Every run's config can be made, and there are not too many."""
    if study.best_seeds and not study.best:
        raise UserError("best_seeds without best: best is the number of points that are run again")
    number = math.prod(len(values) for values in study.grid.values())
    if number * len(study.variants) * len(study.seeds) > MOST_RUNS:
        raise UserError(f"the grid has {number} points: more than {MOST_RUNS} runs in all")
    if study.best > number:
        raise UserError(f"best = {study.best}: the grid has only {number} points")
    if both := sorted(set(study.grid) & set(study.settings)):
        raise UserError(f"{both[0]} is both in [grid] and in [settings]")
    for job in study.jobs(study.points, study.seeds[:1]):
        config = task.resolve(job.variant, study.profile, study.overrides(job))
        if study.pruning and study.pruning.first > getattr(config, "iterations", math.inf):
            raise UserError(f"pruning.first = {study.pruning.first}: a run has only {config.iterations} iterations")


def _check_ranking(study: Study) -> None:
    if study.printed and (unmatched := sorted(set(study.printed) ^ set(study.variants))):
        raise UserError(f"[printed] and variants name different variants: {unmatched[0]} is in one of them only")
    if study.pruning and (study.printed or len(study.variants) > 1):
        raise UserError(
            "[pruning] holds runs against each other: it wants one variant, and no [printed], which needs every result"
        )


def _by_field(task: Task, table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A table of config values with the fields' names of today."""
    fields = [field_name(task.config, name) for name in table]
    _different(fields, key)
    return dict(zip(fields, table.values(), strict=True))


def _values(task: Task, key: str, values: list[Setting]) -> tuple[Value, ...]:
    checked = tuple(_setting(task, key, value) for value in values)
    _different(checked, f"grid.{key}")
    return checked


def _setting(task: Task, key: str, value: Any) -> Value:
    """A value of the task's config, of the field's type and within its limits."""
    kind = type(provenance(task.config)[key].introduced)
    if not (type(value) is kind or (kind is float and type(value) is int)):
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}[kind]
        raise UserError(f"{key} = {shortened(repr(value))}: wants {wanted}")
    return parse_value(task.config, key, str(value))


def _different(values: Iterable[Any], key: str) -> None:
    seen = list(values)
    for i, value in enumerate(seen):
        if value in seen[:i]:
            raise UserError(f"{key}: {shortened(repr(value))} is given twice")
