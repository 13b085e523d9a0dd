"""Tests of the claims' orders and likenesses over our seeds."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from repro.claims.claim import PaperClaim
from repro.claims.evidence import Evidence, Sample
from repro.claims.regions import Outcome, region
from repro.claims.relation import Relation, Term
from repro.claims.shares import judge_share
from repro.claims.stats import holm, interval_of_difference, interval_of_ratio, sign_flip_test
from repro.text import count, format_number

ALPHA = 0.05
PAIRS = 7  # seeds from which on an order is tested
IDENTITIES = ("exact", "structural")  # kinds of claims whose bounds hold in every run or not at all


@dataclasses.dataclass(frozen=True)
class RelationResult:
    """One statement of a claim, judged over `n` seeds.

    `outcome`: "holds"; "direction" (an order holds in the mean, and no test shows it); "open" (an interval overlaps an
    edge of what is claimed); "fails"; "lacks" (no seed has all that is compared). `samples` are the runs of all sides;
    `share` the share of runs that meet a condition and its interval, where that is the statement. `in_the_mean`:
    whether the statement holds for the means, or the share, however few the seeds; None if that is not known. `means`
    are those of both sides.
    """

    text: str
    n: int
    outcome: Outcome
    samples: tuple[Sample, ...]
    share: tuple[float, float, float] | None = None
    in_the_mean: bool | None = None
    means: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Pair:
    """A relation of a claim and both sides' values [seed] over common seeds; `differences` [seed] of right and left are
    what is tested; `remark` describes what was made of lost runs and lower bounds."""

    claim: PaperClaim
    relation: Relation
    samples: tuple[Sample, ...]
    left: np.ndarray
    right: np.ndarray
    differences: np.ndarray
    remark: str

    @property
    def tested(self) -> bool:
        """Whether it is an order between seeds enough for a test."""
        return not self.relation.alike and self.claim.kind not in IDENTITIES and len(self.left) >= PAIRS


def judge_relations(claims: Sequence[PaperClaim], evidence: Evidence) -> dict[str, list[RelationResult]]:
    """Judge every statement of every claim but its number; claim id -> results, in the order of the claim.

    An order holds when the exact paired sign-flip test over at least seven common seeds gives a one-sided p < 0.05
    after Holm's adjustment over all orders of the figure that are tested. A likeness holds when the interval of the
    difference (or ratio) of both means lies inside the tolerance. A bound on an identity holds when it does in every
    run, and none was lost.
    """
    results: dict[str, list[RelationResult]] = {claim.id: [] for claim in claims}
    for _, group in itertools.groupby(sorted(claims, key=_figure), key=_figure):
        pairs = [_pair(claim, relation, evidence) for claim in group for relation in claim.relations]
        tested = [pair for pair in pairs if pair.tested]
        adjusted = holm([sign_flip_test(pair.differences) for pair in tested])
        p_values = {id(pair): p for pair, p in zip(tested, adjusted, strict=True)}
        for pair in pairs:
            results[pair.claim.id].append(_result(pair, p_values))
    for claim in claims:
        if claim.share:
            result = RelationResult(*judge_share(claim, claim.share, evidence))
            low, high = claim.share.region()
            meets = low <= result.share[0] <= high if result.share else None
            results[claim.id].append(dataclasses.replace(result, in_the_mean=meets))
    return results


def _figure(claim: PaperClaim) -> str:
    return claim.figure


def _pair(claim: PaperClaim, relation: Relation, evidence: Evidence) -> _Pair:
    """Both sides over the seeds that they share; a number is repeated for every seed of the other side."""
    terms = (relation.left, relation.right)
    sides = {term: evidence.sample(claim, term.variant, term.metric) for term in terms if term.variant}
    seeds = functools.reduce(pd.Index.intersection, (sample.outcomes.index for sample in sides.values()))
    if any(sample.values.empty for sample in sides.values()):
        seeds = seeds[:0]
    bounds = [term.factor * sample.values[sample.bounds.intersection(seeds)] for term, sample in sides.items()]
    left, right = (_values(term, sides, seeds) for term in terms)
    compared = _comparable(left, right, np.concatenate(bounds), ranked=not relation.alike)
    return _Pair(claim, relation, tuple(sides.values()), *compared)


def _values(term: Term, sides: Mapping[Term, Sample], seeds: pd.Index) -> np.ndarray:
    return term.factor * (sides[term].outcomes[seeds].to_numpy() if term.variant else np.ones(len(seeds)))


def _comparable(
    left: np.ndarray, right: np.ndarray, bounds: np.ndarray, ranked: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Both sides with finite values, their differences, and a remark; equal distributions stay equal.

    Where some are lower bounds, values beyond the smallest bound become that bound, on both sides: what is compared
    are times up to where the first run was given up. A lost run has the worst value of all, and what is tested (of
    `ranked` pairs) are then differences of ranks, among which it has the worst (Lachin 1999).
    """
    both = np.concatenate([left, right])
    known = both[np.isfinite(both)]
    if not len(known):
        return left, right, right - left, ""
    low, high = known.min(), (bounds.min() if len(bounds) else known.max())
    remarks = [f"counted up to {format_number(high)}"] * bool(len(bounds))
    finite = np.clip(left, low, high), np.clip(right, low, high)
    differences = finite[1] - finite[0]
    if lost := int(np.isinf(both).sum()):
        from scipy.stats import rankdata

        remarks.append(f"{count(lost, 'lost run')} at the worst value{', ranks tested' * ranked}")
        ranks = rankdata(np.where(np.isinf(both), both, np.clip(both, low, high)))
        differences = ranks[len(left) :] - ranks[: len(left)]
    return *finite, differences, "".join(f"; {remark}" for remark in remarks)


def _result(pair: _Pair, p_values: Mapping[int, float]) -> RelationResult:
    n = len(pair.left)
    if not n:
        return RelationResult(f"{pair.relation} cannot be judged without a common seed", 0, "lacks", pair.samples)
    if pair.relation.alike:
        return _likeness(pair)
    left, right = means = float(pair.left.mean()), float(pair.right.mean())
    holds = bool(pair.differences.mean() > 0)
    agree = f"in {int((pair.left < pair.right).sum())} of {count(n, 'seed')}"
    outcome: Outcome = "direction" if holds else "fails"
    if pair.claim.kind in IDENTITIES:
        holds = bool((pair.left < pair.right).all()) and not any(side.lost for side in pair.samples)
        outcome, test = "holds" if holds else "fails", agree
    elif pair.tested:
        p = p_values[id(pair)]
        outcome, test = "holds" if p < ALPHA else outcome, f"p = {p:.2g} after Holm, {agree}"
    else:
        test = f"too few seeds for a test: {agree}"
    word = {"holds": "holds", "direction": "holds in the mean only", "fails": "does not hold"}[outcome]
    text = f"{pair.relation} {word} (means {format_number(left)} and {format_number(right)}; {test}{pair.remark})"
    return RelationResult(text, n, outcome, pair.samples, None, holds, means)


def _likeness(pair: _Pair) -> RelationResult:
    """The interval of the difference, or of the ratio, against the tolerance."""
    tolerance = pair.claim.tolerance
    if tolerance is None:
        raise AssertionError(f"{pair.claim.id} states a likeness without a tolerance; loading should have refused it")
    absolute = tolerance.kind == "absolute"
    interval = (interval_of_difference if absolute else interval_of_ratio)(pair.left, pair.right)
    low, high = tolerance.bounds(0.0 if absolute else 1.0)
    left, right = means = float(pair.left.mean()), float(pair.right.mean())
    distance = right - left if absolute else right / left if left else np.inf
    holds: bool | None = bool(low <= distance <= high)
    if any(len(sample.bounds) for sample in pair.samples):
        interval, holds = (np.nan, np.nan), None
    outcome = region(interval, (low, high))
    what = "difference" if absolute else "ratio"
    text, word = {
        "holds": ("holds", f"inside {tolerance}"),
        "fails": ("does not hold", f"outside {tolerance}"),
        "open": ("is open", f"overlaps an edge of {tolerance}"),
    }[outcome]
    span = f"95 % interval of the {what} {format_number(interval[0])} to {format_number(interval[1])}, {word}"
    if np.isnan(interval[0]):
        span = f"no interval of the {what}: " + ("one seed" if len(pair.left) == 1 else "lower bounds")
    both = f"means {format_number(left)} and {format_number(right)}"
    text = f"{pair.relation} {text} ({both}; {span}; {count(len(pair.left), 'seed')}{pair.remark})"
    return RelationResult(text, len(pair.left), outcome, pair.samples, None, holds, means)
