"""Configs: frozen dataclasses in which every value has a source. No torch in here.

A task's config is one flat frozen dataclass whose fields are made by `paper` (the text prints the value) or `assumed`
(it does not, and this is why we chose it). A variant is a set of values that the bar of a figure fixes; a profile is a
set of values that make a run smaller. `resolve` merges them, `config_hash` names the result.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from repro.errors import UserError, unknown
from repro.text import is_plain, shortened

Value = bool | int | float | str

WHOLE = 2**53  # up to here all whole numbers are exact in every format
REAL = 3.4028234663852886e38  # the largest number in single precision


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a value comes from, and what may replace it."""

    source: str  # "paper" or "assumed"
    where: str  # section of the paper, or the reason of the assumption
    introduced: Value  # the default at introduction: equal values stay out of the hash
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Value, ...] = ()
    introduced_as: str = ""  # the key's first name, where it was renamed: the hash is made from it
    aliases: tuple[str, ...] = ()  # other names that it has had; these and the first one are accepted


def _field(source: str, value: Value, where: str, **limits: Any) -> Any:
    limits.setdefault("introduced", value)
    return dataclasses.field(default=value, metadata={"provenance": Provenance(source, where, **limits)})


def paper(value: Value, where: str, **limits: Any) -> Any:
    """A value that the paper prints; `where` names the section, equation or figure."""
    return _field("paper", value, where, **limits)


def assumed(value: Value, why: str, **limits: Any) -> Any:
    """A value that the paper leaves open; `why` is how it was chosen."""
    return _field("assumed", value, why, **limits)


def provenance(config_type: type) -> dict[str, Provenance]:
    """Every field's provenance, in the order of declaration."""
    return {f.name: f.metadata["provenance"] for f in dataclasses.fields(config_type)}


def field_name(config_type: type, key: str) -> str:
    """The field that a key means: the one of that name, or the one that had this name before. Raises UserError."""
    fields = provenance(config_type)
    if key in fields:
        return key
    for name, p in fields.items():
        if key in (p.introduced_as, *p.aliases) and key:
            return name
    raise unknown("key", key, sorted(fields), of=config_type.__name__)


def parse_value(config_type: type, key: str, text: str) -> Value:
    """Turn the VALUE of `--set KEY=VALUE` into the type of that field.

    Raises UserError when the key is no field, the text is not of the field's type, or the value is out of range.
    """
    if key not in provenance(config_type):
        raise unknown("key", key, sorted(provenance(config_type)), of=config_type.__name__)
    kind: type = type(provenance(config_type)[key].introduced)
    try:
        if kind is not str and not is_plain(text):
            raise ValueError
        value: Value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise UserError(f"{key}={shortened(text)}: {key} wants {wanted}") from None
    return checked(config_type, key, value)


def checked(config_type: type, key: str, value: Value) -> Value:
    """Return `value` if the field allows it, else raise UserError."""
    limits = provenance(config_type)[key]
    if limits.choices and value not in limits.choices:
        raise UserError(f"{key}={shortened(str(value))}: {key} is one of {', '.join(map(str, limits.choices))}")
    largest = WHOLE if isinstance(value, int) else REAL
    low, high = max(limits.low, -largest), min(limits.high, largest)
    if isinstance(value, int | float) and not isinstance(value, bool) and not low <= value <= high:
        raise UserError(f"{key}={shortened(str(value))}: {key} lies between {low:g} and {high:g}")
    return value


def config_hash(config: Any) -> str:
    """Eight hex digits that name a config. Keys that equal their default at introduction are left out, so that a
    key added later orphans no record; the others have their first names, so that a renamed one does not either."""
    values, fields = dataclasses.asdict(config), provenance(type(config))
    changed = {p.introduced_as or key: values[key] for key, p in fields.items() if values[key] != p.introduced}
    text = json.dumps([type(config).__name__, changed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def from_mapping(config_type: type, values: Mapping[str, Value]) -> Any:
    """Rebuild a config from a record's mapping, which may have former names; keys that the record predates take their
    introduced default."""

    def value(key: str, p: Provenance) -> Value:
        names = (key, *p.aliases, p.introduced_as)
        return next((values[name] for name in names if name in values), p.introduced)

    return config_type(**{key: value(key, p) for key, p in provenance(config_type).items()})
