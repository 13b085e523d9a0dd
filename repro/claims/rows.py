"""The rows of paper_figures/claims.toml, checked by pydantic: types and ranges of every key."""

import math
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from repro.records.validation import Strict

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


class SeedTable(Strict):
    """A row of [seeds]: those of a task."""

    why: Text = Field(description=A_TEXT)
    first: int = Field(ge=0, description="a whole number from 0 up")
    last: int = Field(ge=0, description="a whole number from 0 up")
    device: Literal["", "cpu", "cuda"] = Field("", description="cpu or cuda")


class WorseTable(Strict):
    """[worse]: which way a metric gets worse."""

    higher: list[str] = Field([], description="a list of metrics")
    lower: list[str] = Field([], description="a list of metrics")


class ShareTable(Strict):
    """The key `share` of a claim."""

    most: float = Field(description=A_NUMBER)
    least: float = Field(-math.inf, description=A_NUMBER)
    unit: str = Field("", description="a config key")
    below: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="a number from 0 to 1")
    above: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="a number from 0 to 1")
    beside: list[float] = Field([], description="a list of numbers")
    against: str = Field("", description="a variant")


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
    fitted: bool = Field(False, description="true or false")
    share: ShareTable | None = Field(None, description="a table such as { most = 500, below = 0.1 }")
