"""`repro check`: which of the paper's claims hold in our records."""

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import unknown
from repro.records import frames, store
from repro.runs.registry import all_tasks

if TYPE_CHECKING:
    import pandas as pd

    from repro.claims.claim_result import ClaimResult


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--figure", metavar="FIG", help="only this figure, such as fig1")
    parser.add_argument(
        "--records",
        metavar="WHERE",
        default="accepted",
        help="accepted (the committed ones, the default), runs (yours) or a folder",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def execute(args: argparse.Namespace) -> int:
    """Print the verdicts; 1 when one is worse than the verdict recorded for its claim."""
    from repro.claims.table import format_table
    from repro.claims.verdicts import read_verdicts, worse

    results = judge(args.records, args.figure)
    print(as_json(results) if args.json else format_table(results))
    recorded = read_verdicts(store.folder("accepted"))
    fallen = [r for r in results if r.id in recorded and worse(r.verdict, recorded[r.id])]
    if fallen and not args.json:
        print("\nworse than recorded: " + ", ".join(f"{r.id} (was {recorded[r.id]})" for r in fallen))
    return 1 if fallen else 0


def judge(where: str | Path, figure: str | None = None, panels: Sequence[str] | None = None) -> "list[ClaimResult]":
    """Verdicts on the paper's claims (of one figure, of some panels) from the records under `where`.

    Raises UserError when the figure or `where` is unknown, or a record cannot be read.
    """
    from repro.claims.check import check
    from repro.claims.claim import load_claims

    claims = load_claims()
    figures = {claim.figure: None for claim in claims}
    if figure and figure not in figures:
        raise unknown("figure", figure, figures)
    wanted, records = [claim for claim in claims if figure in (None, claim.figure)], frames.load(where)
    hashes = {(task.name, variant): task.paper_hash(variant) for task in all_tasks() for variant in task.variants}
    results = check(wanted, records, hashes, _substitutes(records))
    return [result for result in results if panels is None or set(panels) & set(panels_of(result.panel))]


def _substitutes(records: "pd.DataFrame") -> dict[tuple[str, str], tuple[str, str]]:
    """(task, variant) -> a text before the results of runs on data in place of the paper's, or of a smaller size,
    and the hash of their config; where a figure shows these."""
    from repro.runs.sizes import choose

    sizes = {task.name: choose(task, records[records["task"] == task.name])[0] for task in all_tasks()}
    return {
        (name, variant): (f"on {size.stamp}" if size.source else size.stamp, config_hash)
        for name, size in sizes.items()
        if size.stamp
        for variant, config_hash in size.hashes.items()
    }


def panels_of(text: str) -> list[str]:
    """The panels that a claim is about: "1d" -> 1d; "1d,e" -> 1d, 1e."""
    parts = [part.strip() for part in text.split(",")]
    return [part if len(part) > 1 else parts[0][:-1] + part for part in parts]


def as_json(results: Sequence[Any]) -> str:
    """A JSON list with one object a dataclass; numbers that are not finite become null."""
    rows = [{field.name: _plain(getattr(r, field.name)) for field in dataclasses.fields(r)} for r in results]
    return json.dumps(rows, indent=1)


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
