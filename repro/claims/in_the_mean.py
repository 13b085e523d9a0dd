"""Whether a claim holds for the means of a few seeds: what a reading of the text is asked, with three seeds each.

| statement           | holds in a reading if                                                                    |
|---------------------|------------------------------------------------------------------------------------------|
| a value             | the mean, or Kaplan-Meier median, lies inside the tolerance of the printed number        |
| an order            | it holds for the means; a lost run has the worst rank                                    |
| a likeness          | the difference, or ratio, of the means lies inside the tolerance                         |
| a share             | the share of the runs lies where it should                                               |

All statements of a claim must hold. No interval and no test is asked for, so this is less than "reproduced": chance
decides where two bars are alike. A mean of values of which some were lost must lie inside the tolerance also with the
lost ones at the worst value of another run; a median must be finite; runs that were all lost do not meet a claim.
"""

import math
from collections.abc import Sequence

import numpy as np

from repro.claims.claim import PaperClaim
from repro.claims.evidence import Evidence, Sample
from repro.claims.relation_results import RelationResult, judge_relations
from repro.claims.survival import given_up_last, median
from repro.claims.values import judge_value
from repro.text import format_number


def in_the_mean(claim: PaperClaim, evidence: Evidence, compare_value: bool = True) -> tuple[bool | None, str]:
    """Whether the claim holds (None: not known, runs are missing or were given up too early), and our numbers.

    Without `compare_value` only what the claim states of runs among each other is judged.
    """
    parts = [_value(claim, evidence)] if compare_value and _has_value(claim) else []
    parts += [_relation(result) for result in judge_relations([claim], evidence)[claim.id]]
    outcomes = [holds for holds, _ in parts]
    holds = False if False in outcomes else None if None in outcomes or not outcomes else True
    return holds, "; ".join(text for _, text in parts if text)


def variants_of(claim: PaperClaim, compare_value: bool = True) -> tuple[str, ...]:
    """The variants whose runs decide the claim; none if it states nothing that can be judged."""
    sides = [term.variant for relation in claim.relations for term in (relation.left, relation.right)]
    alone = [claim.variant] * bool(claim.share or (compare_value and _has_value(claim)))
    return tuple(dict.fromkeys(filter(None, alone + sides)))


def _has_value(claim: PaperClaim) -> bool:
    return claim.kind == "value" and claim.claimed is not None and claim.tolerance is not None


def _value(claim: PaperClaim, evidence: Evidence) -> tuple[bool | None, str]:
    sample = evidence.sample(claim, claim.variant, claim.metric)
    value = judge_value(claim, sample)
    if math.isnan(value.observed):
        return _without_values([sample])
    assert claim.claimed is not None and claim.tolerance is not None
    low, high = claim.tolerance.bounds(claim.claimed)
    high = math.inf if claim.at_least else high
    if claim.statistic == "median" and not _has_median(sample):
        return False, "no median"
    text = ("at least " if value.bound else "") + format_number(value.observed)
    if value.bound:  # the mean, or median, lies somewhere above
        return (False if value.observed > high else True if high == math.inf and value.observed >= low else None), text
    both = [value.observed] + [float(np.mean(sample.with_the_worst))] * (claim.statistic == "mean")
    return all(low <= number <= high for number in both), text


def _has_median(sample: Sample) -> bool:
    """Whether half of the runs may reach what is measured: those that were given up last would do so at best."""
    times, censored = sample.times
    return math.isfinite(median(times, censored & ~given_up_last(times, censored)))


def _relation(result: RelationResult) -> tuple[bool | None, str]:
    if result.in_the_mean is None and result.outcome == "lacks":
        return _without_values(result.samples)
    if result.share:
        return result.in_the_mean, f"share {format_number(result.share[0])}"
    return result.in_the_mean, " and ".join(map(format_number, result.means))


def _without_values(samples: Sequence[Sample]) -> tuple[bool | None, str]:
    """A side without values: lost, which does not meet a claim, or not there."""
    lost = any(sample.lost and sample.values.empty and not sample.to_come for sample in samples)
    return (False, "lost") if lost else (None, "")
