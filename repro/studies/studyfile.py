"""From a study's TOML file to a `Study`: every key, type and range is checked here, before anything is written."""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from repro.errors import UserError, unknown
from repro.jobs.job import Direction, Pruning
from repro.records.store import HOME
from repro.runs.config import Value, field_name, parse_value, provenance
from repro.runs.registry import get_task
from repro.runs.task import Task
from repro.studies.study import Study

STUDIES = HOME / "sweeps"
MOST_RUNS = 100_000
LARGEST_SEED = 2**31 - 1
KEYS = {
    *("about", "task", "variants", "profile", "settings", "grid", "seeds", "best", "best_seeds"),
    *("metric", "direction", "pruning", "printed"),
}
PRUNING_KEYS = {"metric", "direction", "first", "every", "finished"}
DIRECTIONS = get_args(Direction)


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
    try:
        return _study(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _study(name: str, data: Mapping[str, Any]) -> Study:
    _known(data, KEYS, "a study")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(f"the file's name {name!r} names the study: letters, digits, _ . - only")
    task = get_task(_text(data, "task"))
    printed = {key: _number(value, f"printed.{key}") for key, value in _table(data, "printed", {}).items()}
    best = _whole(data, "best", 0, default=0)
    study = Study(
        name=name,
        about=_text(data, "about"),
        task=task.name,
        variants=_names(data, "variants"),
        profile=_text(data, "profile"),
        settings={key: _setting(task, key, value) for key, value in _by_field(task, data, "settings", {}).items()},
        grid={key: _values(task, key, values) for key, values in _by_field(task, data, "grid").items()},
        seeds=_seeds(data, "seeds"),
        best=best,
        best_seeds=_seeds(data, "best_seeds") if best or "best_seeds" in data else (),
        metrics=tuple(_metric(name, "metric") for name in _names(data, "metric")),
        direction=_direction(data),
        pruning=_pruning(_table(data, "pruning")) if "pruning" in data else None,
        printed=printed,
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


def _pruning(data: Mapping[str, Any]) -> Pruning:
    _known(data, PRUNING_KEYS, "[pruning]")
    return Pruning(
        _metric(_text(data, "metric"), "pruning.metric"),
        _direction(data),
        _whole(data, "first", 1),
        _whole(data, "every", 1),
        _whole(data, "finished", 1, default=5),
    )


def _known(data: Mapping[str, Any], keys: Iterable[str], of: str) -> None:
    for key in data:
        if key not in keys:
            raise unknown("key", key, sorted(keys), of=of)


def _given(data: Mapping[str, Any], key: str, what: str) -> Any:
    if key not in data:
        raise UserError(f"{key} is missing: {what}")
    return data[key]


def _text(data: Mapping[str, Any], key: str) -> str:
    value = _given(data, key, "wants a text in quotes")
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{key} = {value!r}: wants a text in quotes")
    return value


def _names(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = _given(data, key, "wants a name, or a list of names")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{key} = {value!r}: wants a name, or a list of names")
    _different(names, key)
    return tuple(names)


def _table(data: Mapping[str, Any], key: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
    value = data.get(key, default)
    if value is None:
        raise UserError(f"[{key}] is missing")
    if not isinstance(value, dict) or (not value and key in data):
        raise UserError(f"[{key}] wants at least one line KEY = VALUE")
    return value


def _whole(data: Mapping[str, Any], key: str, low: int, default: int | None = None) -> int:
    value = data.get(key, default)
    if value is None:
        raise UserError(f"{key} is missing: wants a whole number")
    if type(value) is not int or value < low:
        raise UserError(f"{key} = {value!r}: wants a whole number from {low} up")
    return value


def _number(value: Any, key: str) -> float:
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise UserError(f"{key} = {value!r}: wants a number above 0")
    return float(value)


def _direction(data: Mapping[str, Any]) -> Direction:
    value = data.get("direction", DIRECTIONS[0])
    for direction in DIRECTIONS:
        if direction == value:
            return direction
    raise UserError(f"direction = {value!r}: is one of {', '.join(DIRECTIONS)}")


def _metric(name: str, key: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"{key} = {name!r}: a metric's name has small letters, digits and _ only")
    return name


def _seeds(data: Mapping[str, Any], key: str) -> tuple[int, ...]:
    value = _given(data, key, "wants a list of seeds such as [100, 101, 102]")
    good = isinstance(value, list) and value and all(type(s) is int and 0 <= s <= LARGEST_SEED for s in value)
    if not good:
        raise UserError(f"{key} = {value!r}: wants a list of seeds such as [100, 101, 102]")
    _different(value, key)
    return tuple(value)


def _by_field(task: Task, data: Mapping[str, Any], key: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """A table of config values with the fields' names of today."""
    table = _table(data, key, default)
    fields = [field_name(task.config, name) for name in table]
    _different(fields, key)
    return dict(zip(fields, table.values(), strict=True))


def _values(task: Task, key: str, values: Any) -> tuple[Value, ...]:
    if not isinstance(values, list) or not values:
        raise UserError(f"grid.{key} = {values!r}: wants a list of values")
    checked = tuple(_setting(task, key, value) for value in values)
    _different(checked, f"grid.{key}")
    return checked


def _setting(task: Task, key: str, value: Any) -> Value:
    """A value of the task's config, of the field's type and within its limits."""
    kind = type(provenance(task.config)[key].introduced)
    if not (type(value) is kind or (kind is float and type(value) is int)):
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}[kind]
        raise UserError(f"{key} = {value!r}: wants {wanted}")
    return parse_value(task.config, key, str(value))


def _different(values: Iterable[Any], key: str) -> None:
    seen = list(values)
    for i, value in enumerate(seen):
        if value in seen[:i]:
            raise UserError(f"{key}: {value!r} is given twice")
