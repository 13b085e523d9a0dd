"""The share of runs that meet a condition, such as to solve the task within 500 iterations, against what is claimed."""

import numpy as np

from repro.claims.claim import PaperClaim
from repro.claims.criteria import Share
from repro.claims.evidence import Evidence, Sample
from repro.claims.regions import Outcome, region
from repro.claims.stats import interval_of_share
from repro.claims.survival import log_rank
from repro.text import format_number

ShareValue = tuple[float, float, float]  # the share and its interval


def judge_share(
    claim: PaperClaim, share: Share, evidence: Evidence
) -> tuple[str, int, Outcome, tuple[Sample, ...], ShareValue | None]:
    """The fields of a RelationResult. The claim holds when the exact 95 % interval of the share lies where it should.

    A lost run does not meet the condition. If a run was given up before it could, the share is not known; nor is it if
    all were lost.
    """
    sample = evidence.sample(claim, claim.variant, claim.metric, share.unit)
    sides = [sample]
    counted = _count(sample, share, share.most)
    where = f"{share.within(claim.metric)} in {{}} of {claim.variant}"
    if counted is None or sample.values.empty:
        why = "runs were given up before that" if counted is None else "no run gave a value"
        return f"{where.format('an unknown share')} ({why})", 0, "lacks", (sample,), None
    met, of = counted
    low, high = interval_of_share(met, of)
    outcome = region((low, high), share.region())
    word = {"holds": "inside", "fails": "outside", "open": "overlaps an edge of"}[outcome]
    parts = [f"share {format_number(met / of)}, 95 % interval {low:.2g} to {high:.2g}, {word} the claimed {share}"]
    parts += [_beside(sample, share, claim.metric, most) for most in share.beside]
    if share.against:
        sides.append(evidence.sample(claim, share.against, claim.metric, share.unit))
        parts += _compared(sides[0], sides[1])
    text = f"{where.format(f'{met} of {of} runs')} ({'; '.join(parts)})"
    return text, of, outcome, tuple(sides), (met / of, low, high)


def _count(sample: Sample, share: Share, most: float) -> tuple[int, int] | None:
    """How many runs meet the condition, of how many; None if some were given up before they could."""
    times, censored = sample.times
    if (censored & (times < most)).any():
        return None
    return int((~censored & (times >= share.least) & (times <= most)).sum()), len(times)


def _beside(sample: Sample, share: Share, metric: str, most: float) -> str:
    counted = _count(sample, share, most)
    return f"{share.within(metric, most)}: " + (f"{counted[0]} of {counted[1]}" if counted else "given up before that")


def _compared(sample: Sample, other: Sample) -> list[str]:
    """The log-rank test against another variant, as text; nothing if that has no runs."""
    if not len(other.times[0]):
        return []
    p = log_rank(*sample.times, *other.times)
    return [f"log-rank test against {other.name}: p = {p:.2g}"] if np.isfinite(p) else []
