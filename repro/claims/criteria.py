"""What settles a claim: how far from a number still counts, which runs count, and which share of them must do what."""

import dataclasses
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far from a number still counts as that number, and `why` so far.

    `kind` is "factor" (within a factor `size`), "relative" (a fraction `size`), "absolute" (a distance `size`) or
    "ladder" (no further than the next rung of `ladder`, both ways).
    """

    kind: str
    size: float
    ladder: tuple[float, ...]
    why: str

    def bounds(self, value: float) -> tuple[float, float]:
        """The lowest and the highest number that count as `value`."""
        if self.kind == "factor":
            return value / self.size, value * self.size
        if self.kind == "relative":
            return value * (1 - self.size), value * (1 + self.size)
        if self.kind == "absolute":
            return value - self.size, value + self.size
        below, above = [r for r in self.ladder if r < value], [r for r in self.ladder if r > value]
        return max(below, default=value), min(above, default=value)

    def __str__(self) -> str:
        """As a row of the verdicts prints it."""
        if self.kind == "factor":
            return f"factor {self.size:g}"
        if self.kind == "relative":
            return f"{100 * self.size:g} %"
        return f"+-{self.size:g}" if self.kind == "absolute" else "one rung"


@dataclasses.dataclass(frozen=True)
class Requirement:
    """A condition for a run's values to count: `metric` is at `least` so large; `lacking` describes a run that has
    not done that."""

    metric: str
    least: float
    lacking: str


@dataclasses.dataclass(frozen=True)
class SeedPlan:
    """The seeds `first` to `last` that accepted records have, fixed before they were run, and `why` these. `device` is
    where they were run; empty: anywhere."""

    first: int
    last: int
    why: str
    device: str = ""

    @property
    def size(self) -> int:
        """Number of seeds."""
        return self.last - self.first + 1

    def covers(self, seeds: "pd.Series", devices: "pd.Series") -> "pd.Series":
        """Which runs were planned, given their seeds and devices."""
        return seeds.between(self.first, self.last) & (devices.isin([self.device]) | (self.device == ""))

    def __str__(self) -> str:
        """ "10 to 49"."""
        return f"{self.first} to {self.last}"


@dataclasses.dataclass(frozen=True)
class Share:
    """The share of runs whose metric lies from `least` to `most` (times the config value `unit`, if named) must lie
    `below` one number or `above` another.

    The share is printed for the upper bounds `beside` too; with `against`, another variant, also a log-rank test.
    """

    most: float
    least: float = -math.inf
    unit: str = ""
    below: float | None = None
    above: float | None = None
    beside: tuple[float, ...] = ()
    against: str = ""

    def region(self) -> tuple[float, float]:
        """The lowest and the highest share that meet the claim."""
        return (self.above or 0.0), (1.0 if self.below is None else self.below)

    def within(self, metric: str, most: float | None = None) -> str:
        """The condition on a run as text: "iterations up to 500"."""
        most = self.most if most is None else most
        span = f"up to {most:g}" if self.least == -math.inf else f"from {self.least:g} to {most:g}"
        return f"{metric} {span}" + (f" times {self.unit}" if self.unit else "")

    def __str__(self) -> str:
        """The condition on the share: "share < 0.1"."""
        return f"share < {self.below:g}" if self.below is not None else f"share > {self.above or 0:g}"
