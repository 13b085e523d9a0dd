"""Which claims of the paper hold in our records, by rules that were fixed before the records existed.

| value                  | its stated orders  | verdict        |
|------------------------|--------------------|----------------|
| reproduced             | all hold, or none  | reproduced     |
| out of tolerance       | all hold           | ordering only  |
| out of tolerance       | none are stated    | not reproduced |
| either                 | one fails          | not reproduced |
| either                 | one lacks its runs | not run        |

The value is the claim's statistic over seeds: the mean, unless the claim states the median. The same is printed, drawn,
and compared in likenesses.

A value that fits while its order fails is not reproduced, because over seeds an order weighs more than one number. A
claim of orders alone is reproduced when all hold. A number of another group gets no verdict; an order stated with it
can make "ordering only". Runs that were made and all failed are "not reproduced", not "not run". A run that did not
reach what a metric measures leaves a lower bound, which may be as large as infinity: it reproduces no value. A run that
is unfinished, or lacks what a claim requires, such as a curve that has flattened, has no say: without others the claim
is not run.

Runs on data in place of the paper's, and runs of a smaller size, change no verdict. Where there are no others ("no
data", "not run"), their orders are printed after it, and the values of smaller runs too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from repro.claims.claim import PaperClaim
from repro.claims.claim_result import ClaimResult
from repro.claims.evidence import Evidence, Sample
from repro.claims.relation_results import RelationResult, judge_relations
from repro.claims.stats import bootstrap_interval
from repro.text import format_number

FEW = 3  # fewer seeds than this make a verdict indicative
NAN = float("nan")


def check(
    claims: Sequence[PaperClaim],
    records: pd.DataFrame,
    paper_hashes: Mapping[tuple[str, str], str],
    substitutes: Mapping[tuple[str, str], tuple[str, str]] | None = None,
) -> list[ClaimResult]:
    """Judge every claim, in the order given.

    `records` as repro.records.frames.load returns them; `paper_hashes` maps (task, variant) to the config hash of a
    run at the paper's size: only finished records with that hash count, failed ones are named in the reason.
    `substitutes` maps (task, variant) to a text before the results of runs on data in place of the paper's, or of a
    smaller size, and the hash of such a run.
    Raises UserError when two records are of the same run.
    """
    evidence = Evidence(records, paper_hashes)
    relations, notes = judge_relations(claims, evidence), substitute_notes(claims, records, substitutes or {})
    return [_judge(claim, _sample(evidence, claim), relations[claim.id], notes[claim.id]) for claim in claims]


def _sample(evidence: Evidence, claim: PaperClaim) -> Sample:
    return evidence.sample(claim.task, claim.variant, claim.metric, claim.requires)


def substitute_notes(
    claims: Sequence[PaperClaim], records: pd.DataFrame, substitutes: Mapping[tuple[str, str], tuple[str, str]]
) -> dict[str, str]:
    """Claim id -> the orders in runs on other data or of a smaller size, and their values unless the data are others;
    empty where there are none."""
    evidence = Evidence(records, {run: config_hash for run, (_, config_hash) in substitutes.items()}, lenient=True)
    before = {task: text for (task, _), (text, _) in substitutes.items()}
    notes, relations = {}, judge_relations(claims, evidence)
    for claim in claims:
        sample = _sample(evidence, claim)
        low, high = bootstrap_interval(sample.values.to_numpy(), claim.statistic)
        comparable = claim.kind == "value" and not claim.licence and len(sample.values)
        seen = [f for f in relations[claim.id] if any(len(side.values) or side.failed for side in f.samples)]
        parts = [f"{claim.metric} {_ours(claim, sample, low, high)}"] if comparable else []
        sides = [sample] * bool(parts) + [side for f in seen for side in f.samples]
        parts += [f.text for f in seen]
        parts += dict.fromkeys(text for side in sides if side.failed or side.to_come for text in side.remarks())
        notes[claim.id] = f"{before[claim.task]}: {'; '.join(parts)}" if parts else ""
    return notes


def _judge(claim: PaperClaim, sample: Sample, relations: Sequence[RelationResult], note: str) -> ClaimResult:
    values = sample.values.to_numpy()
    observed = claim.average(values) if len(values) else NAN
    bound = bool(len(values)) and not np.isfinite(claim.average(sample.worst))
    low, high = (NAN, NAN) if len(sample.bounds) else bootstrap_interval(values, claim.statistic)
    hit, value_text = _value(claim, sample, low, high)
    verdict = _verdict(claim, sample, hit, relations)
    note = note if verdict in ("no data", "not run") else ""
    reason = _reason(claim, sample, value_text, relations, verdict)
    if note:
        reason = f"{reason.removesuffix('.')}; {note}."
    elif verdict == "not run":
        sides = [sample, *(side for relation in relations for side in relation.samples)]
        note = "; ".join(dict.fromkeys(text for side in sides if side.to_come for text in side.remarks()))
    n_seeds = len(values) if claim.kind in ("value", "literature") else min((f.n for f in relations), default=0)
    judged = verdict in ("reproduced", "ordering only", "not reproduced")
    few = min([n_seeds, *(f.n for f in relations if f.n)]) < FEW or any(f.by_means for f in relations)
    return ClaimResult(
        claim.id, claim.panel, claim.kind, _claimed(claim), _tolerance(claim), observed, low, high, n_seeds, bound,
        judged and few, verdict, reason, note, claim.statistic,
    )  # fmt: skip


def _value(claim: PaperClaim, sample: Sample, low: float, high: float) -> tuple[bool | None, str]:
    """Whether our values reach the paper's number (None: no verdict on it), and the reason as a clause."""
    values = sample.values.to_numpy()
    if claim.kind not in ("value", "literature") or claim.claimed is None or not len(values):
        return None, ""
    centre, ours = claim.average(sample.worst), _ours(claim, sample, low, high)
    if claim.tolerance is None:
        return None, f"{ours}; another group's value is {claim.claimed:g}"
    below, above = claim.tolerance.bounds(claim.claimed)
    if below <= centre <= above:
        subject = f"the {claim.statistic}" if len(values) > 1 else "it"
        return True, f"{ours}: {subject} lies within {claim.tolerance} of the paper's {claim.claimed:g}"
    if low <= claim.claimed <= high:
        return True, f"{ours}: the interval holds the paper's {claim.claimed:g}"
    if claim.at_least and claim.average(values) > claim.claimed:
        return True, f"{ours}: above the paper's bound of {claim.claimed:g}"
    width = f"the tolerance ({claim.tolerance})"
    missed = f"{width} does not reach" if len(sample.bounds) else f"neither the interval nor {width} reaches"
    return False, f"{ours}: {missed} {claim.claimed:g}"


def _ours(claim: PaperClaim, sample: Sample, low: float, high: float) -> str:
    values = sample.values.to_numpy()
    least = "at least " if len(sample.bounds) else ""
    if len(values) == 1:
        return f"{least}{format_number(values[0])} on one seed"
    spread = "" if least else f" (95 % interval {format_number(low)} to {format_number(high)})"
    centre = claim.average(sample.worst)
    if claim.statistic == "mean":
        text = f"mean {least}{format_number(claim.average(values))}"
    else:
        text = f"median {format_number(centre)}" if np.isfinite(centre) else "no median"
    return f"{text}{spread} over {len(values)} seeds"


def _verdict(claim: PaperClaim, sample: Sample, hit: bool | None, relations: Sequence[RelationResult]) -> str:
    held = [relation.holds for relation in relations]
    if claim.kind == "no claim" or (claim.kind == "literature" and not held):
        return "no claim"
    if False in held:
        return "not reproduced"
    if None in held or (hit is None and (claim.kind == "value" or not held)):
        return _without_values(claim, [sample, *(side for relation in relations for side in relation.samples)])
    if hit is False and not held:
        return "not reproduced"
    return "ordering only" if hit is False or claim.kind == "literature" else "reproduced"


def _without_values(claim: PaperClaim, samples: Sequence[Sample]) -> str:
    """A claim that lacks values: its runs do not count yet or failed, its data is licensed, or it was not run."""
    if any(sample.to_come for sample in samples):
        return "not run"
    if any(sample.failed and sample.values.empty for sample in samples):
        return "not reproduced"
    return "no data" if claim.licence and all(sample.values.empty for sample in samples) else "not run"


def _claimed(claim: PaperClaim) -> float | str | None:
    if claim.claimed is not None:
        return float(claim.claimed)
    return ", ".join(map(str, claim.relations)) or None


def _tolerance(claim: PaperClaim) -> str:
    if claim.tolerance is not None:
        return str(claim.tolerance)
    return "p < 0.05" if claim.relations else ""


def _reason(
    claim: PaperClaim, sample: Sample, value_text: str, relations: Sequence[RelationResult], verdict: str
) -> str:
    """One sentence: the values, which runs are missing or failed, among how many readings, and the cause."""
    if claim.kind == "no claim":
        return "the paper shows a picture and prints no number."
    if verdict == "no data":
        return f"{claim.licence}."
    if verdict == "no claim":
        return f"{value_text or 'the number belongs to another group'}: no verdict on the value."
    if not claim.metric:
        return "no run of this version measures it."
    sides = [sample] if claim.kind == "value" else []
    sides += [side for relation in relations for side in relation.samples]
    parts = [value_text, *(relation.text for relation in relations)]
    parts += dict.fromkeys(remark for side in sides for remark in side.remarks())
    if claim.readings:
        parts.append(f"reading chosen among {claim.readings}")
    if verdict in ("ordering only", "not reproduced"):
        parts.append(claim.cause)
    return "; ".join(filter(None, parts)) + "."
