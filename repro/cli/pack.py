"""`repro pack`: runs in one file, for another machine; `repro import FILE` takes them over there."""

import argparse
from pathlib import Path

from repro.records import store
from repro.text import count, megabytes, shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="the folder of a run, or one above it, such as results/runs/theory"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the file to write")
    parser.add_argument(
        "--no-checkpoints", action="store_true", help="leave checkpoints out: unfinished runs cannot be resumed there"
    )


def execute(args: argparse.Namespace) -> int:
    """Write the file."""
    from repro.records.exchange import pack

    names = pack(store.find_runs(args.runs), args.output, not args.no_checkpoints)
    size = megabytes(args.output.stat().st_size / 1e6)
    print(f"{count(len(names), 'run')} packed in {shown(args.output)} ({size}); `repro import FILE` takes them over")
    return 0
