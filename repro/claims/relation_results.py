"""Tests of the claims' orders and likenesses over our seeds."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from repro.claims.claim import PaperClaim
from repro.claims.evidence import Evidence, Sample
from repro.claims.relation import Relation, Term
from repro.claims.stats import holm, sign_flip_test
from repro.text import format_number

ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class RelationResult:
    """One relation, judged over `n` seeds.

    `holds` is None when no seed has both sides; `by_means` is True if the seeds were too few for any significance and
    the means decided; `samples` are the runs of both sides.
    """

    text: str
    n: int
    holds: bool | None
    by_means: bool
    samples: tuple[Sample, ...]


@dataclasses.dataclass(frozen=True)
class _Pair:
    """A relation of a claim and both sides' values [seed] over common seeds; `open_sides` are those that hold lower
    bounds where these could break it."""

    claim: PaperClaim
    relation: Relation
    samples: tuple[Sample, ...]
    left: np.ndarray
    right: np.ndarray
    open_sides: tuple[Sample, ...]


def judge_relations(claims: Sequence[PaperClaim], evidence: Evidence) -> dict[str, list[RelationResult]]:
    """Judge every relation of every claim; claim id -> results, in the order of the claim's relations.

    An order holds when the exact paired sign-flip test over common seeds gives a one-sided p < 0.05 after Holm's
    adjustment over all orders of the figure that have data. Where even the smallest possible p values (2^-n) would
    not survive Holm, the means decide. A likeness holds when the right average (by the claim's statistic) lies within
    the tolerance of the left.
    A run that only gives a lower bound may be the larger side of `a < b`; it may not be the smaller side or either side
    of `a ~ b`, because the true value may be arbitrarily larger.
    """
    results: dict[str, list[RelationResult]] = {claim.id: [] for claim in claims}
    for _, group in itertools.groupby(sorted(claims, key=_figure), key=_figure):
        pairs = [_pair(claim, relation, evidence) for claim in group for relation in claim.relations]
        tested = [pair for pair in pairs if not pair.relation.alike and len(pair.left)]
        adjusted = holm([1.0 if pair.open_sides else sign_flip_test(pair.right - pair.left) for pair in tested])
        smallest = holm([2.0 ** -len(pair.left) for pair in tested])
        p_values = {id(pair): p for pair, p in zip(tested, zip(adjusted, smallest, strict=True), strict=True)}
        for pair in pairs:
            results[pair.claim.id].append(_result(pair, p_values))
    return results


def _figure(claim: PaperClaim) -> str:
    return claim.figure


def _pair(claim: PaperClaim, relation: Relation, evidence: Evidence) -> _Pair:
    """Both sides over the seeds that they share; a number is repeated for every seed of the other side."""

    def sample(term: Term) -> Sample:
        return evidence.sample(claim.task, term.variant, term.metric, claim.requires)

    terms = (relation.left, relation.right)
    samples = tuple(sample(term) for term in terms if term.variant)
    seeds = functools.reduce(pd.Index.intersection, (sample.values.index for sample in samples))
    left, right = (
        term.factor * (sample(term).values[seeds].to_numpy() if term.variant else np.ones(len(seeds))) for term in terms
    )
    sides = [sample(term) for term in terms if term.variant and (relation.alike or _is_lower(term, relation))]
    open_sides = tuple(side for side in sides if side.bounds.isin(seeds).any())
    return _Pair(claim, relation, samples, left, right, open_sides)


def _is_lower(term: Term, relation: Relation) -> bool:
    """Whether an order would fail if the term's metric were larger."""
    return term.factor > 0 if term is relation.left else term.factor < 0


def _result(pair: _Pair, p_values: Mapping[int, tuple[float, float]]) -> RelationResult:
    n = len(pair.left)
    if not n:
        return RelationResult(f"{pair.relation} cannot be judged without a common seed", 0, None, False, pair.samples)
    if pair.open_sides:
        names = " and ".join(side.name for side in pair.open_sides)
        text = f"{pair.relation} cannot be shown with lower bounds of {names}"
        return RelationResult(text, n, False, False, pair.samples)
    if pair.relation.alike:
        return _likeness(pair)
    p, smallest = p_values[id(pair)]
    by_means = smallest >= ALPHA
    left, right = pair.left.mean(), pair.right.mean()
    holds = bool(left < right) if by_means else p < ALPHA
    word = "holds" if holds else "is not significant" if left < right else "does not hold"
    agree = int((pair.left < pair.right).sum())
    test = f"too few seeds for a test: {agree} of {n} agree" if by_means else f"p = {p:.2g} after Holm, {n} seeds"
    text = f"{pair.relation} {word} (means {format_number(left)} and {format_number(right)}; {test})"
    return RelationResult(text, n, holds, by_means, pair.samples)


def _likeness(pair: _Pair) -> RelationResult:
    left, right = pair.claim.average(pair.left), pair.claim.average(pair.right)
    tolerance = pair.claim.tolerance
    if tolerance is None:
        raise AssertionError(f"{pair.claim.id} states a likeness without a tolerance; loading should have refused it")
    low, high = tolerance.bounds(left)
    holds = low <= right <= high
    word, reach = ("holds", "within") if holds else ("does not hold", "beyond")
    seeds = f"{len(pair.left)} {'seed' if len(pair.left) == 1 else 'seeds'}"
    averages = f"{pair.claim.statistic}s {format_number(left)} and {format_number(right)}, {reach} {tolerance}"
    text = f"{pair.relation} {word} ({averages}; {seeds})"
    return RelationResult(text, len(pair.left), holds, False, pair.samples)
