"""`--launcher slurm`: hand the runs of a queue to Slurm instead of training them here."""

import argparse
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repro.cli.arguments import checked_int
from repro.errors import UserError
from repro.records.loggers import has_package, logger_words
from repro.text import count, shown

if TYPE_CHECKING:
    from repro.jobs.slurm import Submission

MOST_JOBS = 1000
LONGEST = 60 * 24 * 30  # minutes
MINUTES, GIGABYTES = 240, 2.0
OPTIONS = ("array", "time", "memory", "partition", "account", "gres", "sbatch")


def add_launcher(parser: argparse.ArgumentParser, dry_run: bool = True) -> None:
    """Add the arguments; `dry_run`: `--dry-run` too, where the command has none."""
    group = parser.add_argument_group("on a cluster")
    group.add_argument(
        "--launcher", choices=("local", "slurm"), default="local", help="slurm: submit jobs in place of training here"
    )
    group.add_argument(
        "--array",
        metavar="N",
        type=lambda text: checked_int("--array", text, 1, MOST_JOBS),
        help="so many jobs share the runs (default 1); each makes as many at a time as a command here would",
    )
    group.add_argument(
        "--time",
        metavar="M",
        type=lambda text: checked_int("--time", text, 5, LONGEST),
        help=f"time limit of a job in minutes (default {MINUTES}); it is requeued until all runs have ended",
    )
    group.add_argument("--memory", metavar="GB", type=_gigabytes, help=f"of a worker (default {GIGABYTES:g})")
    for name in ("partition", "account", "gres"):
        group.add_argument(f"--{name}", metavar="X", help="as sbatch takes it")
    group.add_argument(
        "--sbatch", metavar="KEY=X", action="append", default=[], help="any other option of sbatch, such as qos=long"
    )
    if dry_run:
        parser.add_argument("--dry-run", action="store_true", help="print the plan (and Slurm's script), and stop")


def check_launcher(args: argparse.Namespace) -> bool:
    """Whether Slurm is to make the runs. Raises UserError for options that do not go together."""
    given = [name for name in OPTIONS if getattr(args, name)]
    if args.launcher == "local":
        if given:
            raise UserError(f"--{given[0]} is for --launcher slurm")
        return False
    if args.minutes is not None:
        raise UserError("--minutes is for runs on this machine; --time is the limit of a job of Slurm")
    if (args.storage or os.environ.get("REPRO_STORAGE") or "").startswith("sqlite:"):
        raise UserError("SQLite is not for several machines: leave --storage out, or name a PostgreSQL database")
    _settings(args.sbatch)
    if not has_package("submitit"):
        raise UserError(
            "--launcher slurm needs submitit, which is not installed; `pip install submitit` adds it, "
            "or submit sweeps/slurm_array.sh, which does without"
        )
    if not args.dry_run and shutil.which("sbatch") is None:
        raise UserError("there is no sbatch here; run this on the cluster's login node")
    return True


def submission(
    args: argparse.Namespace, name: str, queue: str, folder: Path, workers: int, last: Sequence[str]
) -> "Submission":
    """Jobs `repro-NAME` that call `repro work QUEUE` with so many workers, and then one that calls `repro LAST`."""
    from repro.jobs.slurm import Allocation, Submission

    options = {name: value for name in ("partition", "account", "gres") if (value := getattr(args, name))}
    wanted = Allocation(
        args.array or 1,
        workers,
        workers * (args.memory or GIGABYTES),
        args.time or MINUTES,
        options | _settings(args.sbatch),
    )
    shared = [*_storage(args.storage), "--device", args.device, *logger_words(args.logger)]
    work = ("work", queue, "--workers", str(workers), *shared)
    return Submission(name, work, (*last, *shared), wanted, folder.absolute() / "slurm")


def launch(jobs: "Submission", dry_run: bool, progress: str = "repro runs") -> int:
    """Submit, or print the script; `progress` is the command that lists how far the runs are."""
    if dry_run:
        print(jobs.script().rstrip())
        return 0
    array, last = jobs.submit()
    print(
        f"job {array}: {count(jobs.wanted.array, 'task')} of {count(jobs.wanted.workers, 'worker')}; "
        f"job {last} draws the result when they have ended (`squeue --me` lists both)\n"
        f"logs: {shown(jobs.folder)}; `{progress}` lists how far they are; `scancel {array}` ends it"
    )
    return 0


def _storage(url: str | None) -> list[str]:
    """A journal's path is that of the login node's current folder; jobs may start in another one."""
    if url is None:
        return []
    return ["--storage", url if "://" in url else str(Path(url).absolute())]


def _settings(pairs: Sequence[str]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        key, equals, value = pair.removeprefix("--").partition("=")
        if not re.fullmatch(r"[a-z][a-z-]*", key) or not equals or not value:
            raise UserError(f"--sbatch {pair}: wants KEY=VALUE, such as --sbatch qos=long")
        settings[key] = value
    return settings


def _gigabytes(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,2})?", text) or float(text) == 0:
        raise UserError(f"--memory {text}: wants a number of GB, such as 4 or 0.5")
    return float(text)
