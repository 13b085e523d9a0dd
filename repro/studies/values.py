"""Values and ranges of a study file: of the type of the task's config, and within its limits."""

from collections.abc import Iterable, Sequence
from typing import Any

from repro.errors import UserError
from repro.jobs.ranges import Range
from repro.runs.config import Value, parse_value, provenance
from repro.runs.task import Task
from repro.text import shortened


def checked_setting(task: Task, key: str, value: Any) -> Value:
    """A value of the type of the config's field. Raises UserError for another type, and outside the field's limits."""
    kind = _type(task, key)
    if not (type(value) is kind or (kind is float and type(value) is int)):
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}[kind]
        raise UserError(f"{key} = {shortened(repr(value))}: wants {wanted}")
    return parse_value(task.config, key, str(value))


def checked_values(task: Task, key: str, values: Sequence[Any]) -> tuple[Value, ...]:
    """The values of a line of [grid]. Raises UserError as above, and for a value that is given twice."""
    checked = tuple(checked_setting(task, key, value) for value in values)
    require_different(checked, f"grid.{key}")
    return checked


def checked_range(task: Task, key: str, low: Any, high: Any, log: bool, first: Sequence[Any]) -> Range:
    """A line of [ranges].

    Raises UserError for a key that is no number, for limits that the config does not allow or that are in the wrong
    order, for a log scale down to zero, and for first values that are outside.
    """
    if _type(task, key) not in (int, float):
        raise UserError(f"ranges.{key}: {key} is no number; [grid] takes a list of its values")
    numbers: Any = [checked_setting(task, key, number) for number in (low, high, *first)]
    if not numbers[0] < numbers[1]:
        raise UserError(f"ranges.{key}: low = {low} wants to be below high = {high}")
    if log and numbers[0] <= 0:
        raise UserError(f"ranges.{key}: low = {low}: a log scale begins above 0")
    require_different(numbers[2:], f"ranges.{key}.first")
    values = Range(numbers[0], numbers[1], log, tuple(numbers[2:]))
    for number in values.first:
        if number not in values:
            raise UserError(f"ranges.{key}.first: {number} is not between low = {low} and high = {high}")
    return values


def require_different(values: Iterable[Any], key: str) -> None:
    """Raises UserError for a value that is given twice."""
    seen = list(values)
    for i, value in enumerate(seen):
        if value in seen[:i]:
            raise UserError(f"{key}: {shortened(repr(value))} is given twice")


def _type(task: Task, key: str) -> type:
    return type(provenance(task.config)[key].introduced)
