"""`repro import FILE` and `repro import wandb PATH`: runs that were made elsewhere, among our runs."""

import argparse
from pathlib import Path

from repro.errors import UserError
from repro.records import store
from repro.text import count, shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "repro import [-h] [--out DIR] (FILE | wandb PATH)"
    parser.add_argument(
        "source",
        metavar="FILE | wandb PATH",
        nargs="+",
        help="a file that `repro pack` wrote; or the folder of a run that W&B keeps on disk, such as "
        ".../wandb/offline-run-TIME-ID, or its files as downloaded",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write here in place of results/runs")


def execute(args: argparse.Namespace) -> int:
    """Import. Raises UserError when a file is damaged, a run has no record, or another state of it is here."""
    root = store.require_writable(args.out or store.folder("runs"))
    if args.source[0] == "wandb" and len(args.source) == 2:
        return _wandb(Path(args.source[1]), root)
    if len(args.source) > 1:
        raise UserError("repro import takes one FILE, or `wandb` and one PATH")
    from repro.records.exchange import unpack

    new = unpack(Path(args.source[0]), root)
    for folder in new:
        print(f"imported {shown(folder)}")
    print(f"{count(len(new), 'run')} taken over; those that were here already are as they were")
    return 0


def _wandb(path: Path, root: Path) -> int:
    from repro.records.wandb_import import import_wandb

    folder, record = import_wandb(path, root)
    came = f"{record.status}, {record.reason}" if record.reason else record.status
    print(f"{record.task} {record.variant} seed {record.seed}: {came} ({shown(folder)})")
    return 0
