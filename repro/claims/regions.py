"""Where an interval lies: wholly inside what is claimed, wholly outside, or across an edge; and its text."""

import math
from typing import Literal

from repro.text import format_number

Outcome = Literal["holds", "direction", "open", "fails", "lacks"]


def region(interval: tuple[float, float], claimed: tuple[float, float]) -> Literal["holds", "open", "fails"]:
    """ "holds": the interval lies wholly inside the claimed range; "fails": wholly outside; "open": it overlaps an
    edge, or there is no interval (nan)."""
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        return "open"
    if claimed[0] <= low and high <= claimed[1]:
        return "holds"
    return "fails" if high < claimed[0] or low > claimed[1] else "open"


def span(low: float, high: float) -> str:
    """An interval as text: "0.01 to 0.02", "46 and above" where it has no upper end, empty where there is none."""
    if not math.isfinite(low):
        return ""
    return (
        f"{format_number(low)} to {format_number(high)}" if math.isfinite(high) else f"{format_number(low)} and above"
    )
