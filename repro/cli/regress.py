"""`repro regress`: whether results moved away from the accepted ones."""

import argparse

from repro.cli.arguments import add_records, parse_list
from repro.cli.check import as_json
from repro.errors import UserError
from repro.records import frames, store
from repro.text import is_plain

ABOUT = """\
Compare runs with the accepted ones of the same config, and print what moved.
A cell of the comparison is one metric of one config."""
EXIT = """\
exit status:
  0  no cell moved, and each required cell is the same: a shift of FACTOR
     would have been seen
  1  a cell moved
  2  bad input
  3  not settled: nothing was compared, too few seeds, or a required cell was
     not run"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, EXIT
    parser.description = ABOUT
    add_records(parser, "runs")
    parser.add_argument(
        "--require",
        metavar="CELLS",
        type=parse_list,
        help="the cells that must be the same: all accepted ones (all), or TASK, TASK/VARIANT, TASK/VARIANT/METRIC, "
        "such as pattern_generation/*/nmse, with commas between several; by default those that were run",
    )
    parser.add_argument(
        "--max-shift",
        metavar="FACTOR",
        type=_factor,
        default=2.0,
        help="the largest shift that may stay unseen in a cell that is the same (default 2)",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _factor(text: str) -> float:
    try:
        factor = float(text) if is_plain(text) else 0.0
    except ValueError:
        factor = 0.0
    if not factor > 1:
        raise UserError(f"--max-shift {text}: wants a factor above 1, such as 2, or inf")
    return factor


def execute(args: argparse.Namespace) -> int:
    """Compare cell by cell (task, variant, config, metric). Raises UserError for records that are the accepted ones."""
    if store.is_accepted(args.records):
        raise UserError("--records accepted: the accepted runs are what new runs are compared with; name new ones")
    from repro.claims.regress import regress
    from repro.claims.regress_table import exit_code, format_table, select_required

    cells = regress(frames.load(args.records), frames.load("accepted"), args.max_shift)
    required = select_required(cells, args.require or ())
    print(as_json(cells) if args.json else format_table(cells, required))
    return exit_code(cells, required)
