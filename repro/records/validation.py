"""Faults that pydantic names, as one sentence: which key, what it is, and what is right."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict

from repro.errors import UserError, unknown
from repro.text import shortened

Model = TypeVar("Model", bound="Strict")


class Strict(BaseModel):
    """Data of a file: no key too many, no value converted. The `description` of a field is what it wants."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def parsed(model: type[Model], row: Any, name: str, of: str) -> Model:
    """A table of a file as its model, whose name is such as "a study". Raises UserError, which begins with `name`."""
    if not isinstance(row, dict):
        raise UserError(f"{name} should be a table of keys and values")
    try:
        return model.model_validate(row)
    except pydantic.ValidationError as error:
        raise UserError(f"{name}: {fault(error, row, model, of)}") from None


def fault(error: pydantic.ValidationError, data: Mapping[str, Any], model: type[BaseModel], of: str) -> UserError:
    """The first fault in `data`, of which `model` is the model and `of` a name such as "a study"."""
    faults = error.errors(include_url=False, include_input=False)
    first = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")  # a misspelt key explains a missing one
    path, kind = _path(data, first["loc"]), first["type"]
    inner = _model_of(model, path[:-1])
    if kind == "extra_forbidden" and inner:
        return unknown("key", str(path[-1]), sorted(inner.model_fields), of=of if inner is model else f"[{path[0]}]")
    name, wants = ".".join(map(str, path)), _wants(model, path)
    if kind == "missing":
        return UserError(f"{name} is missing: wants {wants}")
    if kind == "value_error":
        return UserError(f"{name}: {first['msg'].removeprefix('Value error, ')}")
    return UserError(f"{name} = {_shown(_value(data, path))}: wants {wants}")


def _model_of(model: type[BaseModel], path: list[Any]) -> type[BaseModel] | None:
    parts = iter(path)
    for part in parts:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        models = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        inner = next((kind for kind in models if issubclass(kind, BaseModel)), None)
        if inner is None:
            return None
        if get_origin(annotation) is dict:
            next(parts, None)  # a key of the table, whose values are models
        model = inner
    return model


def _wants(model: type[BaseModel], path: list[Any]) -> str:
    """The description of the last field on the path that has one."""
    wants, inner = "", model
    for depth, part in enumerate(path):
        here = _model_of(model, path[:depth])
        inner = here or inner
        if here and part in inner.model_fields:
            wants = inner.model_fields[part].description or wants
    return wants


def _path(data: Any, loc: tuple[int | str, ...]) -> list[Any]:
    """The keys that lead to a fault: the whole of a list is what is wrong, whichever element or type pydantic names."""
    path = []
    for part in loc:
        if not isinstance(data, Mapping):
            break
        path.append(part)
        data = data.get(part)
    return path


def _value(data: Any, path: list[Any]) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else data
    return data


def _shown(value: Any) -> str:
    try:
        return shortened(repr(value))
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
