"""`repro figures`: draw a figure's panels from records."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from repro.cli.arguments import add_records, parse_list
from repro.errors import unknown
from repro.records import store
from repro.runs.registry import FIGURES, draw, entries, get_figure
from repro.text import shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("figure", metavar="FIG", help="such as fig1")
    add_records(parser, "runs")
    parser.add_argument("--panels", metavar="LIST", type=parse_list, help="only these, such as 1c,1d")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="write here in place of results/figures (of accepted records: results/figures/accepted)",
    )


def execute(args: argparse.Namespace) -> int:
    """Draw, and name the files."""
    check_panels(args.figure, args.panels)
    store.folder(args.records)  # a wrong folder is reported before anything is imported
    print(files_line(draw(args.figure, args.records, args.panels, args.out)))
    return 0


def check_panels(figure: str, panels: Sequence[str] | None) -> None:
    """Raises UserError when the figure or one of its panels is unknown."""
    if figure not in entries(FIGURES):
        raise unknown("figure", figure, entries(FIGURES))
    known = get_figure(figure).PANELS if panels else ()
    for panel in panels or ():
        if panel not in known:
            raise unknown("panel", panel, known, of=figure)


def files_line(files: Sequence[Path]) -> str:
    """ "drawn in results/figures: fig1c, fig1d (svg, png, pdf)"."""
    stems = ", ".join(dict.fromkeys(path.stem for path in files))
    kinds = ", ".join(dict.fromkeys(path.suffix.removeprefix(".") for path in files))
    return f"drawn in {', '.join(dict.fromkeys(shown(path.parent) for path in files))}: {stems} ({kinds})"
