"""`repro report`: one HTML page on what of the paper is reproduced, with every figure, claim, verdict and cause."""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from repro.cli.arguments import add_records
from repro.cli.check import judge
from repro.errors import UserError
from repro.records import frames, store
from repro.records.files import write_atomically
from repro.text import megabytes, shown

if TYPE_CHECKING:
    from repro.report.panels import Judgement


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_records(parser, "accepted")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write this file, not results/report/report.html")


def execute(args: argparse.Namespace) -> int:
    """Judge, draw, write the page, and print where it is and the tally."""
    from repro.claims.table import tally
    from repro.report.figures import gather
    from repro.report.page import render

    if not store.in_checkout():
        raise UserError("the report belongs to a checkout: it prints parts of docs/ and CITATION.cff")
    out = args.out or store.report_file()
    store.require_writable(out.parent)
    records = store.read_all(args.records)
    if not records:
        raise UserError(f"no records in {shown(store.folder(args.records))} to report on; run: make fig1")
    judgements = _judgements(args.records)
    with tempfile.TemporaryDirectory() as folder:
        runs = frames.load(args.records, config="all")
        page = render(gather(args.records, runs, judgements, Path(folder)), records, args.records).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page)
    print(f"written: {shown(out)} ({megabytes(len(page) / 1e6)}); open it in a browser")
    print(tally([judgement.result for judgement in judgements]))
    return 0


def _judgements(where: str) -> "list[Judgement]":
    """Every claim with its verdict as `repro check` prints it, and that on other seeds where it is "not run"."""
    from repro.claims.claim import load_claims
    from repro.claims.verdicts import JUDGED
    from repro.report.panels import Judgement

    others = {result.id: result for result in judge(where, planned=False) if result.verdict in JUDGED}
    claims = {claim.id: claim for claim in load_claims()}
    return [
        Judgement(claims[result.id], result, others.get(result.id) if result.verdict == "not run" else None)
        for result in judge(where)
    ]
