"""`repro check --write README.md`: the verdicts in short, written into a page."""

import math
from collections.abc import Sequence
from pathlib import Path

from repro.claims.claim import PaperClaim, load_claims
from repro.claims.claim_result import ClaimResult
from repro.claims.evidence import Evidence
from repro.claims.overview import OTHER_SEEDS, SMALLER, Shown, format_overview, insert, load_overview
from repro.claims.shares import judge_share
from repro.claims.values import judge_value
from repro.cli.check import judge
from repro.errors import UserError
from repro.records import frames
from repro.records.files import read_text, write_atomically
from repro.runs.registry import all_tasks
from repro.runs.sizes import choose


def write_overview(page: Path, results: Sequence[ClaimResult], where: str | Path) -> None:
    """Replace what stands between two marks of a page by the verdicts in short.

    Raises UserError when there is no such page, it has no such marks, or `results` are not those of all claims.
    """
    if not page.is_file():
        raise UserError(
            f"--write {page}: there is no such page; it should have a place for the results, as README.md has"
        )
    part = format_overview(load_overview(), results, shown(results, where))
    write_atomically(page, insert(read_text(page), part).encode())


def shown(results: Sequence[ClaimResult], where: str | Path) -> dict[str, Shown]:
    """Claim id -> our value: of the runs that the verdict rests on; if there are none of those of other seeds, and if
    there are none of the runs that the figure shows, which are smaller or on other data."""
    others, smaller = {other.id: other for other in judge(where, planned=False)}, _smaller(where)
    values = {}
    for result in results:
        other = others[result.id]
        if result.n_seeds or other.n_seeds:
            ours, mark = (result, "") if result.n_seeds else (other, OTHER_SEEDS)
            values[result.id] = Shown(ours.observed, ours.bound, ours.n_seeds, mark, ours.verdict)
        else:
            values[result.id] = smaller[result.id]
    return values


def _smaller(where: str | Path) -> dict[str, Shown]:
    """The same of the runs that the figures show, whatever their size. They give no verdict."""
    records = frames.load(where, config="all")
    hashes: dict[tuple[str, str], tuple[str, ...]] = {}
    for task in all_tasks():
        size, _ = choose(task, records[records["task"] == task.name])
        hashes |= {(task.name, variant): of_size for variant, of_size in size.hashes.items()}
    evidence = Evidence(records, hashes, lenient=True)
    return {claim.id: _value(claim, evidence) for claim in load_claims()}


def _value(claim: PaperClaim, evidence: Evidence) -> Shown:
    """A claim's number, or the share that it states, without a verdict."""
    sample = evidence.sample(claim, claim.variant, claim.metric)
    if not claim.share:
        value = judge_value(claim, sample)
        return Shown(value.observed, value.bound, len(sample.values), SMALLER, "")
    share = judge_share(claim, claim.share, evidence)[-1]
    return Shown(share[0] if share else math.nan, False, len(sample.times[0]) if share else 0, SMALLER, "")
