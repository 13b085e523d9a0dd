"""`repro bench`: how fast we are, and against whom."""

import argparse
import importlib
import sys

from repro.errors import UserError
from repro.records.store import CHECKOUT


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    about = "one benchmark, such as pattern_generation, store_recall or speech (default: all)"
    parser.add_argument("name", metavar="NAME", nargs="?", help=about)
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def execute(args: argparse.Namespace) -> int:
    """Run one benchmark, or all. Raises UserError where they or what they need is not installed."""
    if not (CHECKOUT / "benchmarks" / "run.py").is_file():
        raise UserError(
            "the benchmarks are not installed with the package; run `repro bench` in a clone of the repository"
        )
    sys.path.insert(0, str(CHECKOUT))
    try:
        benchmarks = importlib.import_module("benchmarks.run")
    except ModuleNotFoundError as error:
        raise UserError(f"the benchmarks need {error.name}, which is not installed; `make bench` sets it up") from None
    status: int = benchmarks.main(args.name, args.json)
    return status
