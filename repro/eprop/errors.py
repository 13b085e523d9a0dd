"""The exceptions that the library raises, and checks of plain values that raise them."""

import dataclasses
import math
import numbers
from typing import Any


class UsageError(ValueError):
    """Wrong use: one sentence that names what is wrong and what would be right."""


class NotFiniteError(UsageError):
    """Training has diverged: neurons hold NaN or infinity, which no loss would show."""


def check_whole(owner: str, least: int = 1, **values: Any) -> None:
    """Raises UsageError unless all values are whole numbers, `least` or more."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise UsageError(f"{owner}({name}={shown(value)}): {name} is a whole number, {least} or more")


def check_number(owner: str, zero: bool = False, **values: Any) -> None:
    """Raises UsageError unless all values are numbers above 0, or, with `zero`, 0 or more and finite."""
    for name, value in values.items():
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or not (0 <= value < math.inf if zero else value > 0):
            wanted = "0 or more, and finite" if zero else "above 0"
            raise UsageError(f"{owner}({name}={shown(value)}): {name} is a number, {wanted}")


def written(record: Any, *, shows_first: bool = False) -> str:
    """A dataclass as one writes it: its first field by place, and others by name where they are not their defaults."""
    first, *others = dataclasses.fields(record)
    given = [(field.name, getattr(record, field.name)) for field in others]
    named = [f"{name}={value!r}" for (name, value), field in zip(given, others, strict=True) if value != field.default]
    value = getattr(record, first.name)
    placed = [repr(value)] if shows_first or named or value != first.default else []
    return f"{type(record).__name__}({', '.join(placed + named)})"


def shown(value: Any) -> str:
    """A value in a sentence: as it is written where that is short, else by its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return repr(value) if isinstance(value, numbers.Number | str | None) else f"a {type(value).__name__}"
