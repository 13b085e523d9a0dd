"""`repro check --write README.md`: the verdicts in short, written into a page."""

from collections.abc import Sequence
from pathlib import Path

from repro.claims.claim import load_claims
from repro.claims.claim_result import ClaimResult
from repro.claims.evidence import Evidence
from repro.claims.overview import OTHER_SEEDS, SMALLER, Shown, format_overview, insert, load_overview
from repro.claims.values import judge_value
from repro.cli.check import judge
from repro.errors import UserError
from repro.records import frames
from repro.records.files import write_atomically
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
    write_atomically(page, insert(page.read_text(encoding="utf-8"), part).encode())


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
    values = {}
    for claim in load_claims():
        sample = evidence.sample(claim, claim.variant, claim.metric)
        value = judge_value(claim, sample)
        values[claim.id] = Shown(value.observed, value.bound, len(sample.values), SMALLER, "")
    return values
