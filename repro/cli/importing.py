"""`repro import wandb PATH`: the record of a W&B run, among our runs."""

import argparse
from pathlib import Path

from repro.errors import unknown
from repro.records import store
from repro.text import shown

SOURCES = {"wandb": "PATH is the folder of a run that W&B keeps on disk, or its files as downloaded"}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "repro import [-h] [--out DIR] wandb PATH"
    parser.add_argument("source", metavar="wandb", help=SOURCES["wandb"])
    parser.add_argument("path", metavar="PATH", type=Path, help="such as .../wandb/offline-run-TIME-ID")
    parser.add_argument("--out", metavar="DIR", type=Path, help="write here in place of results/runs")


def execute(args: argparse.Namespace) -> int:
    """Import. Raises UserError when the run has no record, or a damaged or another one."""
    if args.source not in SOURCES:
        raise unknown("source", args.source, SOURCES)
    from repro.records.wandb_import import import_wandb

    root = store.require_writable(args.out or store.folder("runs"))
    folder, record = import_wandb(args.path, root)
    came = f"{record.status}, {record.reason}" if record.reason else record.status
    print(f"{record.task} {record.variant} seed {record.seed}: {came} ({shown(folder)})")
    return 0
