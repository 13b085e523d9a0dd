"""`repro import wandb PATH`: the record of a W&B run, among our runs."""

import argparse
from pathlib import Path

from repro.errors import UserError
from repro.records import store
from repro.text import shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "repro import [-h] [--out DIR] wandb PATH"
    parser.add_argument(
        "words",
        metavar="wandb PATH",
        nargs="+",
        help="PATH is the folder of a run that W&B keeps on disk, such as .../wandb/offline-run-TIME-ID, or a folder "
        "with the files of a run that were downloaded from W&B",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write here in place of results/runs")


def execute(args: argparse.Namespace) -> int:
    """Import. Raises UserError when the run has no record, or a damaged or another one."""
    if args.words[0] != "wandb" or len(args.words) != 2:
        raise UserError(f"repro import {' '.join(args.words)}: wants wandb PATH, with one PATH")
    return _wandb(Path(args.words[1]), args.out)


def _wandb(path: Path, out: Path | None) -> int:
    from repro.records.wandb_import import import_wandb

    root = store.require_writable(out or store.folder("runs"))
    folder, record = import_wandb(path, root)
    came = f"{record.status}, {record.reason}" if record.reason else record.status
    print(f"{record.task} {record.variant} seed {record.seed}: {came} ({shown(folder)})")
    return 0
