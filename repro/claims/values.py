"""A claim's statistic over seeds, its interval, and whether that interval lies inside the tolerance."""

import math
from typing import Literal, NamedTuple

import numpy as np

from repro.claims.claim import PaperClaim
from repro.claims.evidence import Sample
from repro.claims.regions import region, span
from repro.claims.stats import interval_of_mean
from repro.claims.survival import interval_of_median, median
from repro.text import count, format_number

NAN = float("nan")


class Value(NamedTuple):
    """The statistic of a claim over our seeds.

    `low` to `high` is its 95 % interval (nan: none), and `bound` means that `observed` is a lower bound. `region`:
    "holds" if the interval lies wholly inside the tolerance, "fails" if wholly outside, "open" if it overlaps an edge,
    "no interval" for one seed, or a median of fewer than six; None if there is nothing to compare. `text` is all that
    as a clause.
    """

    observed: float
    low: float
    high: float
    bound: bool
    region: Literal["holds", "open", "fails", "no interval"] | None
    text: str


def judge_value(claim: PaperClaim, sample: Sample) -> Value:
    """The statistic, and whether it meets the paper's number. Without values: all nan, and no region."""
    if not len(sample.values):
        return Value(NAN, NAN, NAN, False, None, "")
    observed, (low, high), bound = _statistic(claim, sample)
    text = describe(claim, sample)
    if claim.kind not in ("value", "literature") or claim.claimed is None:
        return Value(observed, low, high, bound, None, text)
    if claim.tolerance is None:
        return Value(observed, low, high, bound, None, f"{text}; another group's value is {claim.claimed:g}")
    below, above = claim.tolerance.bounds(claim.claimed)
    wanted = (below, math.inf if claim.at_least else above)
    few = len(sample.times[0]) == 1 or (claim.statistic == "median" and math.isnan(low))
    found = "no interval" if few else _region(claim, sample, (observed, low, high), bound, wanted)
    edges = f"at least {below:g}" if claim.at_least else f"{below:.4g} to {above:.4g}"
    aim = f"{edges}, the paper's {claim.claimed:g} within {claim.tolerance}"
    word = {"holds": "inside", "fails": "outside", "open": "not settled against", "no interval": "beside"}[found]
    if found == "open" and region((low, high), wanted) == "open" and not math.isnan(low):
        word = "overlaps an edge of"
    return Value(observed, low, high, bound, found, f"{text}: {word} {aim}{_sensitivity(claim, sample)}")


def describe(claim: PaperClaim, sample: Sample) -> str:
    """ "mean 0.0142 (95 % interval 0.0103 to 0.0188) over 10 seeds"."""
    observed, (low, high), bound = _statistic(claim, sample)
    least = "at least " if bound or len(sample.bounds) == len(sample.values) else ""
    if len(sample.times[0]) == 1:
        return f"{least}{format_number(observed)} on one seed"
    number = (
        "no median" if bound and claim.statistic == "median" else f"{claim.statistic} {least}{format_number(observed)}"
    )
    spread = f" (95 % interval {span(low, high)})" if span(low, high) else ""
    seeds = count(len(sample.times[0] if claim.statistic == "median" else sample.values), "seed")
    return f"{number}{spread} over {seeds}"


def _statistic(claim: PaperClaim, sample: Sample) -> tuple[float, tuple[float, float], bool]:
    """The statistic, its interval, and whether it is a lower bound: then, of a median, the largest value."""
    values = sample.values.to_numpy()
    if claim.statistic == "median":
        middle = median(*sample.times)
        known = math.isfinite(middle)
        return (middle if known else float(values.max())), interval_of_median(*sample.times), not known
    bound = bool(len(sample.bounds))
    return float(values.mean()), ((NAN, NAN) if bound else interval_of_mean(values)), bound


def _region(
    claim: PaperClaim, sample: Sample, value: tuple[float, float, float], bound: bool, wanted: tuple[float, float]
) -> Literal["holds", "open", "fails"]:
    """Where the interval lies. A mean whose lost runs would move it elsewhere, if they had the worst value of another
    run, is open; so is the mean of lower bounds, unless they already lie beyond the tolerance."""
    observed, low, high = value
    if bound and claim.statistic == "mean":
        return (
            "fails" if observed > wanted[1] else "holds" if wanted[1] == math.inf and observed >= wanted[0] else "open"
        )
    found = region((low, high), wanted)
    if claim.statistic == "mean" and sample.lost:
        worst = region(interval_of_mean(sample.with_the_worst), wanted)
        return found if found == worst else "open"
    return found


def _sensitivity(claim: PaperClaim, sample: Sample) -> str:
    """The mean with lost runs at the worst value of another run, as a clause."""
    if claim.statistic == "median" or not sample.lost or not sample.worse:
        return ""
    worst = sample.with_the_worst
    interval = span(*interval_of_mean(worst))
    return f"; with lost runs at the worst value {format_number(float(np.mean(worst)))} ({interval})"
