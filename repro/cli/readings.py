"""`repro readings`: in how many readings of the text each claim holds; writes docs/readings.md and a map a figure."""

import argparse
from typing import TYPE_CHECKING

from repro.errors import UserError, unknown
from repro.records import store
from repro.text import shown, table

if TYPE_CHECKING:
    from repro.claims.multiverse import ReadingResult


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--figure", metavar="FIG", help="judge this figure alone, such as fig1; the others stay")


def execute(args: argparse.Namespace) -> int:
    """Judge, write the results, the page and the maps, and print one line a claim."""
    from repro.claims.claim import load_claims
    from repro.claims.multiverse import read_results, write_results
    from repro.drawing import save
    from repro.studies import readings, readings_map, readings_page, universe

    if not store.in_checkout():
        raise UserError("the readings belong to a checkout: its sweeps/, docs/ and paper_figures/ are read and written")
    universes = universe.load()
    figures = list(dict.fromkeys(each.figure for each in universes))
    if args.figure and args.figure not in figures:
        raise unknown("figure", args.figure, figures)
    wanted = [args.figure] if args.figure else figures
    claims = load_claims()
    fresh = [result for each in universes if each.figure in wanted for result in readings.judge(each, claims)]
    results = sorted(
        fresh + [result for result in read_results() if result.reading.figure in set(figures) - set(wanted)],
        key=lambda result: figures.index(result.reading.figure),
    )
    docs = store.HOME / "docs"
    maps: dict[str, bytes] = {}
    for figure in wanted:
        maps |= readings_map.draw(figure, claims, [result for result in results if result.reading.figure == figure])
    page = readings_page.page(claims, results, universes)
    write_results(results)
    files = save({"readings.md": page.encode(), **maps}, docs)
    print(_lines([result for result in results if result.reading.figure in wanted]))
    print(f"written: {', '.join(shown(file) for file in files)}")
    return 0


def _lines(results: "list[ReadingResult]") -> str:
    from repro.claims.multiverse import count_text

    claims = dict.fromkeys(result.claim for result in results)
    rows = [
        (claim, count_text([r for r in results if r.claim == claim]) or "no reading is finished") for claim in claims
    ]
    return table(rows, ("CLAIM", "READINGS"))
