"""Which claims of the paper hold in our records. The tolerances were set before any result; the rules were changed once
since, before the planned seeds were run (docs/paper_notes.md).

| interval of the value         | its stated orders                       | verdict                                   |
|-------------------------------|-----------------------------------------|-------------------------------------------|
| wholly inside the tolerance   | all hold, or none is stated             | reproduced; fitted, if the reading was    |
|                               |                                         | chosen by this very number                |
| wholly inside                 | one holds in the mean only              | direction only                            |
| overlaps an edge              | none fails                              | inconclusive: more seeds would decide     |
| wholly outside, or one seed   | none fails, and at least one is stated  | direction only                            |
| wholly outside                | none is stated                          | not reproduced                            |
| one seed                      | none is stated                          | inconclusive                              |
| any                           | one fails                               | not reproduced                            |
| any                           | one lacks its runs                      | not run                                   |

The value is the claim's statistic over seeds: the mean, or the Kaplan-Meier median where the claim states it. The same
is printed, drawn and judged. An order holds at p < 0.05, from seven seeds on; "in the mean only" is everything short of
that: where two methods are alike, half of all studies end so. A likeness ("~") holds if the interval of the difference,
or ratio, lies wholly inside the tolerance; if it overlaps an edge the claim is inconclusive.

A value that fits while its order fails is not reproduced, because over seeds an order weighs more than one number. A
claim of orders alone is reproduced when all hold. A number of another group gets no verdict; an order stated with it
can make "direction only".

A lost run (a dead network, NaN) is an outcome: it is counted and named. A mean is that of the others, and stands if the
lost ones, with the worst value of another run, would not change the verdict; else the claim is inconclusive. In an
order a lost run has the worst rank, in a median its time is infinite, and in a share it does not meet the condition.
Runs that were made and all lost are "not reproduced", not "not run". A run that is unfinished, or lacks what a claim
requires, such as a curve that has flattened, does not count: without others the claim is not run.

Accepted records are judged on the seeds that were planned (`planned`). Runs of other seeds, on data in place of the
paper's and of a smaller size change no verdict. Where there are no others ("no data", "not run"), what they show is
printed after it.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from repro.claims.claim import PaperClaim
from repro.claims.claim_result import ClaimResult
from repro.claims.evidence import Evidence, Sample
from repro.claims.relation_results import RelationResult, judge_relations
from repro.claims.values import Value, describe, judge_value
from repro.claims.verdicts import JUDGED

FEW = 3  # fewer seeds than this make a verdict indicative


def check(
    claims: Sequence[PaperClaim],
    records: pd.DataFrame,
    paper: Mapping[tuple[str, str], Collection[str]],
    substitutes: Mapping[tuple[str, str], tuple[str, Collection[str]]] | None = None,
    planned: bool = False,
    with_data: Collection[str] = (),
) -> list[ClaimResult]:
    """Judge every claim, in the order given.

    `records` as repro.records.frames.load returns them; `paper` maps (task, variant) to the hashes of configs at the
    paper's scale: only records with those count. `substitutes` maps (task, variant) to a text before the results of
    runs on data in place of the paper's, or of a smaller size, and the hashes of such runs. With `planned` only planned
    seeds count, and results of other seeds are printed after "not run". Of the tasks `with_data` some run has the
    paper's data: what lacks values there is "not run", never "no data".
    Raises UserError when two records are of the same run.
    """
    notes = substitute_notes(claims, records, substitutes or {})
    if planned:
        others = check(claims, records, paper, with_data=with_data)
        notes = {other.id: _of_other_seeds(other) or notes[other.id] for other in others}
    evidence = Evidence(records, paper, planned=planned)
    relations = judge_relations(claims, evidence)
    known = [dataclasses.replace(claim, licence="") if claim.task in with_data else claim for claim in claims]
    return [_judge(claim, _sample(evidence, claim), relations[claim.id], notes[claim.id]) for claim in known]


def _sample(evidence: Evidence, claim: PaperClaim) -> Sample:
    return evidence.sample(claim, claim.variant, claim.metric)


def _of_other_seeds(result: ClaimResult) -> str:
    """What runs of any seed show, planned or not; empty where that is nothing."""
    return f"other seeds: {result.verdict}: {result.reason}" if result.verdict in JUDGED else ""


def substitute_notes(
    claims: Sequence[PaperClaim],
    records: pd.DataFrame,
    substitutes: Mapping[tuple[str, str], tuple[str, Collection[str]]],
) -> dict[str, str]:
    """Claim id -> the orders in runs on other data or of a smaller size, and their values unless the data are others;
    empty where there are none."""
    if not substitutes:
        return dict.fromkeys([claim.id for claim in claims], "")
    evidence = Evidence(records, {run: hashes for run, (_, hashes) in substitutes.items()}, lenient=True)
    before = {task: text for (task, _), (text, _) in substitutes.items()}
    notes, relations = {}, judge_relations(claims, evidence)
    for claim in claims:
        sample = _sample(evidence, claim)
        comparable = claim.kind == "value" and not claim.licence and len(sample.values)
        seen = [f for f in relations[claim.id] if any(len(side.values) or side.lost for side in f.samples)]
        parts = [f"{claim.metric} {describe(claim, sample)}"] if comparable else []
        sides = [sample] * bool(parts) + [side for f in seen for side in f.samples]
        parts += [f.text for f in seen]
        parts += dict.fromkeys(text for side in sides if side.lost or side.to_come for text in side.remarks())
        notes[claim.id] = f"{before[claim.task]}: {'; '.join(parts)}" if parts else ""
    return notes


def _judge(claim: PaperClaim, sample: Sample, relations: Sequence[RelationResult], note: str) -> ClaimResult:
    value = judge_value(claim, sample)
    verdict = _verdict(claim, sample, value, relations)
    note = note if verdict in ("no data", "not run") else ""
    reason = _reason(claim, sample, value, relations, verdict)
    sides = [sample, *(side for relation in relations for side in relation.samples)]
    if note:
        reason = f"{reason.removesuffix('.')}; {note.removesuffix('.')}."
    elif verdict == "not run":
        note = "; ".join(dict.fromkeys(text for side in sides if side.to_come for text in side.remarks()))
    has_value = claim.kind in ("value", "literature")
    counted = len(sample.times[0] if claim.statistic == "median" else sample.values)
    n_seeds = counted if has_value else min((f.n for f in relations), default=0)
    few = min([n_seeds, *(f.n for f in relations if f.n)]) < FEW or any(side.incomplete for side in sides)
    shares = [f.share for f in relations if f.share]
    observed, low, high = shares[0] if shares else (value.observed, value.low, value.high)
    return ClaimResult(
        claim.id, claim.panel, claim.kind, _claimed(claim), _tolerance(claim), observed, low, high, n_seeds,
        value.bound and not shares, verdict in JUDGED and few, verdict, reason, note,
        "share" if claim.share else claim.statistic, len(sample.lost) * has_value, claim.holds_in,
    )  # fmt: skip


def _verdict(claim: PaperClaim, sample: Sample, value: Value, relations: Sequence[RelationResult]) -> str:
    outcomes = {relation.outcome for relation in relations}
    if claim.kind == "no claim" or (claim.kind == "literature" and not outcomes):
        return "no claim"
    if "fails" in outcomes:
        return "not reproduced"
    if "lacks" in outcomes or (value.region is None and (claim.kind == "value" or not outcomes)):
        return _without_values(claim, [sample, *(side for relation in relations for side in relation.samples)])
    if "open" in {*outcomes, value.region}:
        return "inconclusive"
    if value.region in ("fails", "no interval"):
        return "direction only" if outcomes else "not reproduced" if value.region == "fails" else "inconclusive"
    if "direction" in outcomes or claim.kind == "literature":
        return "direction only"
    return "fitted" if claim.fitted else "reproduced"


def _without_values(claim: PaperClaim, samples: Sequence[Sample]) -> str:
    """A claim that lacks values: its runs do not count yet or were lost, its data is licensed, or it was not run."""
    if any(sample.to_come for sample in samples):
        return "not run"
    if any(sample.lost and sample.values.empty for sample in samples):
        return "not reproduced"
    return "no data" if claim.licence and all(sample.values.empty for sample in samples) else "not run"


def _claimed(claim: PaperClaim) -> float | str | None:
    if claim.claimed is not None:
        return float(claim.claimed)
    if claim.share:
        return f"{claim.share.within(claim.metric)}: {claim.share}"
    return ", ".join(map(str, claim.relations)) or None


def _tolerance(claim: PaperClaim) -> str:
    if claim.tolerance is not None:
        return str(claim.tolerance)
    if claim.share:
        return str(claim.share)
    return "p < 0.05" if claim.relations else ""


def _reason(claim: PaperClaim, sample: Sample, value: Value, relations: Sequence[RelationResult], verdict: str) -> str:
    """One sentence: the values, which runs are missing or lost, among how many readings, and the cause."""
    if claim.kind == "no claim":
        return "the paper shows a picture and prints no number."
    if verdict == "no data":
        return f"{claim.licence}."
    if verdict == "no claim":
        return f"{value.text or 'the number belongs to another group'}: no verdict on the value."
    if not claim.metric:
        return "no run of this version measures it."
    sides = [sample] if claim.kind == "value" else []
    sides += [side for relation in relations for side in relation.samples]
    parts = [value.text if claim.claimed is not None else "", *(relation.text for relation in relations)]
    parts += dict.fromkeys(remark for side in sides for remark in side.remarks())
    parts += dict.fromkeys(f"planned: seeds {side.plan}" for side in sides if side.incomplete)
    parts.append(_readings(claim))
    if verdict not in ("reproduced", "fitted", "not run"):
        parts.append(claim.cause)
    return "; ".join(filter(None, parts)) + "."


def _readings(claim: PaperClaim) -> str:
    """In how many readings of the text the claim holds, if that is known; else among how many ours was chosen."""
    return claim.holds_in or (f"reading chosen among {claim.readings}" if claim.readings else "")
