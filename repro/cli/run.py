"""`repro run`: train one variant of a task with one seed."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from repro.cli.arguments import add_logger, checked_int, checked_minutes, parse_settings
from repro.errors import UNFINISHED, UserError
from repro.jobs.processes import as_one_interrupt
from repro.records import store
from repro.runs.bootstrap import TO_END
from repro.runs.config import config_hash, field_name
from repro.runs.registry import get_task
from repro.runs.task import Task
from repro.text import shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("task", metavar="TASK", help="such as pattern_generation (`repro list tasks`)")
    parser.add_argument(
        "--variant", metavar="V", help="such as e_prop_1 (`repro list variants`); a task may have only one"
    )
    parser.add_argument(
        "--profile", metavar="P", default="quick", help="smoke, quick (default), paper; a task may have others"
    )
    parser.add_argument(
        "--seed", metavar="N", default=0, type=lambda text: checked_int("--seed", text, 0), help="0 by default"
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="replace a value of the config; may be repeated"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write here in place of results/runs")
    parser.add_argument(
        "--minutes",
        metavar="M",
        type=checked_minutes,
        help="stop after so many minutes, with the iteration it is in, and record how far it came; "
        "run the same command again to resume. 0 trains nothing: it records the checkpoint of a run that was killed",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu (default) or cuda")
    add_logger(parser)


def execute(args: argparse.Namespace) -> int:
    """Train, unless the run is finished; 75 when it is unfinished.

    Raises UserError for bad input (before torch is imported), RunFailed, Busy, and RunPruned from a callback.
    """
    overrides = parse_settings(args.set)
    task = get_task(args.task)
    variant = args.variant or _only_variant(task)
    config = task.resolve(variant, args.profile, overrides)
    for key in overrides:
        if (field := field_name(task.config, key)) != key:
            print(f"note: {key} is called {field} now", file=sys.stderr)
    title = f"{task.name} {variant} seed {args.seed}"
    folder = _folder(task.name, variant, config, args.seed, args.out)
    if store.is_finished(folder):
        print(f"{title}: already finished, nothing to train ({shown(folder)})")
        return 0
    from repro.runs.run import run

    with _interrupt_as_sentence(), _asked_to_end():
        record = run(
            *(task, variant, args.profile, args.seed, overrides, args.out, args.device, args.callbacks),
            minutes=args.minutes,
            loggers=args.logger,
        )
    metrics = ", ".join(f"{key} {value:.3g}" for key, value in record.metrics.items())
    came = f"{record.status}, {record.reason}" if record.reason else record.status
    print(f"{title}: {came}, {metrics} ({shown(folder)})")
    return UNFINISHED if record.status == "unfinished" else 0


def _only_variant(task: Task) -> str:
    """The variant of a task that has one. Raises UserError when there is a choice."""
    if len(task.variants) > 1:
        raise UserError(f"which variant of {task.name}? --variant names one of {', '.join(task.variants)}")
    return next(iter(task.variants))


def _folder(task: str, variant: str, config: object, seed: int, out: Path | None) -> Path:
    root = store.require_writable(out or store.folder("runs"))
    return store.run_folder(task, variant, config_hash(config), seed, root)


@contextlib.contextmanager
def _interrupt_as_sentence() -> Iterator[None]:
    """Ctrl-C during training, or a request to end."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)("interrupted; the same command resumes where it stopped") from None


def _asked_to_end() -> contextlib.AbstractContextManager[object]:
    """A request to end, as an interrupt; in a worker it is one already."""
    is_worker = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    return contextlib.nullcontext() if is_worker else as_one_interrupt(*TO_END)
