"""`repro accept`: copy finished runs to the committed results, the reference that `check` and `regress` use."""

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path

from repro.cli.check import judge
from repro.errors import UserError
from repro.records import store
from repro.records.record import RECORD, RunRecord
from repro.runs.config import config_hash, from_mapping
from repro.runs.registry import get_task
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
    """Accept all of them, with the verdicts that they lead to, or none."""
    from repro.claims.accept import accept

    into = store.require_writable(store.folder("accepted"))
    planned = functools.partial(judge, planned=True)
    accepted = accept(run_folders(args.runs), into, args.replace, hash_of=hash_of, judge=planned)
    for folder in accepted:
        print(f"accepted {shown(folder)}")
    print(f"{count(len(accepted), 'record')} accepted; verdicts written to {shown(into / store.VERDICTS)}")
    return 0


def hash_of(record: RunRecord) -> str:
    """The hash that a record's config has. Raises UserError when its task is not known here."""
    return config_hash(from_mapping(get_task(record.task).config, record.config))


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
