"""`repro bench`: how fast we are, and against whom."""

import argparse
import importlib
import sys
from pathlib import Path

from repro.cli.arguments import checked_int
from repro.errors import UserError
from repro.records.store import CHECKOUT


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    about = "one benchmark, such as pattern_generation, or a group: iterations, growth, runs (default: all)"
    parser.add_argument("name", metavar="NAME", nargs="?", help=about)
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.add_argument("--write", metavar="FILE", type=Path, help="write a report in Markdown too")
    parser.add_argument(
        "--minutes",
        metavar="M",
        type=lambda text: checked_int("--minutes", text, 1),
        help="take fewer turns, and begin no benchmark after so many minutes",
    )


def execute(args: argparse.Namespace) -> int:
    """Run benchmarks. Raises UserError where they or what they need is not installed, or the report has no folder."""
    if args.write is not None and not args.write.absolute().parent.is_dir():
        raise UserError(f"--write {args.write}: there is no folder {args.write.parent}")
    if not (CHECKOUT / "benchmarks" / "run.py").is_file():
        raise UserError(
            "the benchmarks are not installed with the package; run `repro bench` in a clone of the repository"
        )
    sys.path.insert(0, str(CHECKOUT))
    try:
        benchmarks = importlib.import_module("benchmarks.run")
    except ModuleNotFoundError as error:
        raise UserError(f"the benchmarks need {error.name}, which is not installed; `make bench` sets it up") from None
    status: int = benchmarks.main(args.name, args.json, args.write, args.minutes)
    return status
