"""`repro questions`: writes docs/questions.md and its figures, the answers to what the paper's authors would ask."""

import argparse

from repro.cli.arguments import parse_list
from repro.errors import UserError
from repro.records import store
from repro.runs.registry import write_page
from repro.text import shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--records",
        metavar="LIST",
        type=parse_list,
        default=("accepted",),
        help="where to read records, such as accepted,runs: runs (yours), accepted (the committed ones, the default) "
        "or folders; of a run that is in several the first that ended counts",
    )


def execute(args: argparse.Namespace) -> int:
    """Write, and name the files."""
    if not store.in_checkout():
        raise UserError("the questions belong to a checkout: its sweeps/ and docs/ are read and written")
    if not args.records:
        raise UserError("--records: wants a list such as accepted,runs")
    for where in args.records:
        store.folder(where)
    files = write_page("questions", args.records, store.HOME / "docs")
    print(f"written: {', '.join(shown(file) for file in files)}")
    return 0
