"""`repro regress`: whether results moved away from the accepted ones."""

import argparse

from repro.cli.check import as_json
from repro.records import frames


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--records", metavar="WHERE", default="runs", help="runs (yours, the default) or a folder")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def execute(args: argparse.Namespace) -> int:
    """Compare cell by cell (task, variant, metric); 1 when one moved."""
    from repro.claims.regress import format_table, regress

    cells = regress(frames.load(args.records), frames.load("accepted"))
    print(as_json(cells) if args.json else format_table(cells))
    return 1 if any(cell.verdict == "moved" for cell in cells) else 0
