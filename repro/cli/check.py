"""`repro check`: which of the paper's claims hold in our records."""

import argparse
import dataclasses
import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.cli.arguments import add_records
from repro.errors import UserError, unknown
from repro.records import frames, store
from repro.records.files import write_atomically
from repro.records.sums import verify
from repro.runs.registry import all_tasks
from repro.text import table

if TYPE_CHECKING:
    import pandas as pd

    from repro.claims.claim_result import ClaimResult
    from repro.runs.task import Task


ABOUT = "Judge the paper's claims by records, and print which hold. Trains nothing."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    from repro.claims.verdicts import MEANINGS

    parser.description, parser.formatter_class = ABOUT, argparse.RawDescriptionHelpFormatter
    words = table([(f"  {verdict}", meaning) for verdict, meaning in MEANINGS.items()])
    parser.epilog = f"verdicts (docs/records.md has the rules):\n{words}"
    parser.add_argument("--figure", metavar="FIG", help="only this figure, such as fig1")
    add_records(parser, "accepted")
    parser.add_argument("--why", action="store_true", help="print the reason of each verdict")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write a report in JUnit's XML, for CI services")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--brief", action="store_true", help="print the tally, then one line a claim")
    form.add_argument("--json", action="store_true", help="print a list of objects")
    form.add_argument("--markdown", action="store_true", help="print a table in Markdown")
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the verdicts in short into a page: README.md")


def execute(args: argparse.Namespace) -> int:
    """Print the verdicts; 1 when one is worse than the verdict recorded for its claim."""
    from repro.claims.exports import to_junit, to_markdown
    from repro.claims.table import format_table
    from repro.cli.overview import write_overview

    if args.why and args.brief:
        raise UserError("--brief has no reasons: leave out --why, or --brief")
    results = judge(args.records, args.figure)
    fallen = worse_than_recorded(results, args.records)
    if args.write:
        write_overview(args.write, results, args.records)
    if args.junit:
        write_atomically(args.junit, to_junit(results, fallen))
    if args.json:
        print(as_json(results))
        return 1 if fallen else 0
    if args.markdown:
        print(to_markdown(results, args.why))
    else:
        print(brief(results) if args.brief else format_table(results, args.why, terminal_width()))
    if fallen:
        print("\nworse than recorded: " + ", ".join(f"{name} (was {was})" for name, was in fallen.items()))
    if not args.why and not args.markdown and results:
        print("\nthe claims: repro list claims; the meaning of verdicts: repro check --help")
        print("the reasons: repro check --why" + _options(args))
    return 1 if fallen else 0


def worse_than_recorded(results: "Sequence[ClaimResult]", where: str | Path) -> dict[str, str]:
    """Claim id -> the recorded verdict, where that is better.

    A claim without a verdict is worse only among the accepted records, where one was lost: one's own runs are rarely
    all of them. Raises UserError when the recorded verdicts cannot be read.
    """
    from repro.claims.verdicts import RANK, read_verdicts, worse

    verify(store.folder("accepted"))
    recorded = read_verdicts(store.folder("accepted"))
    judged = [r for r in results if r.id in recorded and (str(where) == "accepted" or RANK[r.verdict])]
    return {r.id: recorded[r.id] for r in judged if worse(r.verdict, recorded[r.id])}


def brief(results: "Sequence[ClaimResult]") -> str:
    """The tally and one line a claim; in colour on a terminal, unless NO_COLOR is set."""
    from repro.claims.table import format_brief

    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return format_brief(results, terminal_width(), colour)


def terminal_width() -> int:
    """Columns of the terminal (or of COLUMNS), from 60 to 120; 100 where there is none."""
    return min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)


def _options(args: argparse.Namespace) -> str:
    records = f" --records {args.records}" if args.records != "accepted" else ""
    return records + (f" --figure {args.figure}" if args.figure else "")


def judge(
    where: str | Path, figure: str | None = None, panels: Sequence[str] | None = None, planned: bool | None = None
) -> "list[ClaimResult]":
    """Verdicts on the paper's claims (of one figure, of some panels) from the records under `where`.

    With `planned` only the seeds that were planned count; None: among the accepted records, and not elsewhere.
    Raises UserError when the figure or `where` is unknown, or a record cannot be read.
    """
    from repro.claims.check import check
    from repro.claims.claim import load_claims, panels_of
    from repro.claims.multiverse import read_results, with_counts
    from repro.runs.scale import paper_hashes

    claims = with_counts(load_claims(), read_results())
    figures = {claim.figure: None for claim in claims}
    if figure and figure not in figures:
        raise unknown("figure", figure, figures)
    wanted, records = [claim for claim in claims if figure in (None, claim.figure)], frames.load(where, config="all")
    tasks = [(task, records[records["task"] == task.name]) for task in all_tasks()]
    paper = {
        (task.name, variant): hashes for task, runs in tasks for variant, hashes in paper_hashes(task, runs).items()
    }
    if planned is None:
        planned = store.is_accepted(where)
    units = {f"config.{claim.share.unit}" for claim in wanted if claim.share}
    others = [name for name in records.columns if name.startswith("config.") and name not in units]
    with_data = {task.name for task, runs in tasks if _is_on_the_papers_data(task, runs)}
    results = check(wanted, records.drop(columns=others).copy(), paper, _substitutes(tasks), planned, with_data)
    return [result for result in results if panels is None or set(panels) & set(panels_of(result.panel))]


def _is_on_the_papers_data(task: "Task", runs: "pd.DataFrame") -> bool:
    """Whether a run of the task has no substitute of the paper's data."""
    columns = {f"config.{key}": key for values in task.substitutes.values() for key in values}
    configs = runs.reindex(columns=list(columns)).rename(columns=columns)
    return any(not task.data_of(config) for config in configs.itertuples())


def _substitutes(tasks: "Sequence[tuple[Task, pd.DataFrame]]") -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
    """(task, variant) -> a text before the results of runs on data in place of the paper's, or of a smaller size,
    and the hashes of their configs; where a figure shows these."""
    from repro.runs.sizes import choose

    sizes = {task.name: choose(task, runs)[0] for task, runs in tasks}
    return {
        (name, variant): (f"on {size.stamp}" if size.source else size.stamp, hashes)
        for name, size in sizes.items()
        if size.stamp
        for variant, hashes in size.hashes.items()
    }


def as_json(results: Sequence[Any]) -> str:
    """A JSON list with one object a dataclass; numbers that are not finite become null."""
    rows = [{field.name: _plain(getattr(r, field.name)) for field in dataclasses.fields(r)} for r in results]
    return json.dumps(rows, indent=1)


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
