"""`repro accept`: copy finished runs to the committed results, the reference that `check` and `regress` use."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from repro.cli.check import judge
from repro.errors import UserError
from repro.records import store
from repro.records.record import RECORD
from repro.text import count, shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        type=Path,
        help="the folder of a run, or one above it, such as results/runs/pattern_generation",
    )
    parser.add_argument("--replace", action="store_true", help="replace accepted records that differ")


def execute(args: argparse.Namespace) -> int:
    """Accept all of them or none, then record the verdicts that they lead to."""
    from repro.claims.accept import accept
    from repro.claims.verdicts import write_verdicts

    into = store.require_writable(store.folder("accepted"))
    accepted = accept(run_folders(args.runs), into, replace=args.replace)
    for folder in accepted:
        print(f"accepted {shown(folder)}")
    write_verdicts(into, judge("accepted"))
    print(f"{count(len(accepted), 'record')} accepted; verdicts written to {shown(into / store.VERDICTS)}")
    return 0


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """The folders with a record at or below some paths. Raises UserError for a path that has none."""
    folders: list[Path] = []
    for path in paths:
        below = sorted(record.parent for record in path.rglob(RECORD)) if path.is_dir() else []
        if not below:
            raise UserError(
                f"no record in {path}; RUN is the folder of a run, or one above it (`repro runs` lists them)"
            )
        folders += [folder for folder in below if folder not in folders]
    return folders
