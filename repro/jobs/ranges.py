"""A range of numbers that a setting may have."""

import dataclasses
import math
from collections.abc import Sequence

from repro.runs.config import Value

DIGITS = 4  # of a real number in a range: seeds differ by more


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, whole ones if both are; even on a log scale with `log`.

    `first` are numbers that are tried before any other.
    """

    low: int | float
    high: int | float
    log: bool = False
    first: tuple[int | float, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it has whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __contains__(self, value: object) -> bool:
        """Whether a number lies in it."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    @property
    def count(self) -> float:
        """How many numbers it has; infinite for real ones."""
        return self.high - self.low + 1 if self.is_whole else math.inf

    def rounded(self, value: float) -> int | float:
        """The value with four digits (all of a whole number), and inside the range."""
        near = round(value) if self.is_whole else float(f"{value:.{DIGITS}g}")
        return min(max(near, self.low), self.high)

    def spread(self, number: int) -> tuple[Value, ...]:
        """So many numbers, evenly spaced from `low` to `high`; fewer where whole numbers coincide."""
        at = [i / (number - 1) for i in range(number)]
        if self.log:
            values: Sequence[float] = [self.low * (self.high / self.low) ** x for x in at]
        else:
            values = [self.low + (self.high - self.low) * x for x in at]
        return tuple(dict.fromkeys(self.rounded(value) for value in values))

    def around(self, value: int | float) -> "Range":
        """The part between the neighbours of one of the first values, or the range's end where it has none."""
        known = sorted(self.first)
        at = known.index(value)
        low = known[at - 1] if at else self.low
        high = known[at + 1] if at + 1 < len(known) else self.high
        return Range(low, high, self.log)
