"""What `reproduce`, `sweep` and `work` have in common: they train the runs of a queue in worker processes."""

import argparse
import math
import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from repro.cli.arguments import add_logger, checked_int, checked_minutes
from repro.cli.run_worker import RESUME
from repro.errors import FAILED, FINISHED, UNFINISHED, UserError
from repro.jobs.job import Job, JobList, JobStates
from repro.jobs.plan import Words
from repro.jobs.processes import thread_notes
from repro.records.loggers import has_package
from repro.text import LiveLines, count

if TYPE_CHECKING:
    from repro.jobs.memory_queue import MemoryQueue
    from repro.jobs.queue import Queue

WORKER = (sys.executable, "-m", "repro.cli.run_worker")
MOST_WORKERS = 1024
AGAIN = "run the same command again to resume"


def add_options(parser: argparse.ArgumentParser, logger: str) -> None:
    """Add what these commands let choose; `logger` describes the default of `--logger`."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--minutes",
        metavar="M",
        type=checked_minutes,
        help="stop after so many minutes: each run with the iteration it is in, and with a checkpoint; "
        f"exit status {UNFINISHED} where runs are left: run the same command again to resume",
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="where the queue is kept: any Optuna storage, such as sqlite:///FILE, or the path of a journal file "
        "(default: the variable REPRO_STORAGE, else a journal in the results folder, which machines may share)",
    )
    add_logger(parser, default=logger)


def add_workers(parser: argparse.ArgumentParser, option: str, default: int, about: str) -> None:
    """Add the option that states how many runs are trained at a time."""
    parser.add_argument(
        option,
        metavar="N",
        type=lambda text: checked_int(option, text, 1, MOST_WORKERS),
        default=default,
        help=f"{about} (default {default})",
    )


def require_optuna(what: str) -> None:
    """Raises UserError where Optuna is not installed."""
    if not has_package("optuna"):
        raise UserError(f"{what} needs optuna, which is not installed; `pip install optuna` sets it up")


def open_queue(jobs: JobList, url: str | None) -> "Queue | MemoryQueue":
    """The queue of some jobs: one that others may join, or one in memory where Optuna is not installed.

    Raises UserError for a storage that cannot be used.
    """
    if url is None and not has_package("optuna"):
        from repro.jobs.memory_queue import MemoryQueue

        return MemoryQueue(jobs)
    require_optuna("--storage")
    from repro.jobs.queue import Queue

    return Queue(jobs, url)


def time_limit(minutes: float | None) -> float:
    """The time (that of time.time()) at which so many minutes from now are over."""
    return math.inf if minutes is None else time.time() + 60 * minutes


def train(
    queue: "Queue | MemoryQueue",
    words: Words,
    workers: tuple[str, int],
    until: float,
    again: Collection[Job] = (),
    note: Callable[[JobStates], str] | None = None,
    command: Sequence[str] = WORKER,
) -> None:
    """Train the queue's runs until all have ended or the time is over; `workers`: their option, and how many.

    `words` is the command line of a run, and `command` starts a worker.

    Raises KeyboardInterrupt with a sentence on how to resume.
    """
    from repro.jobs.display import Display
    from repro.jobs.pool import Pool

    screen = LiveLines()
    for line in thread_notes(*workers):
        screen.say(line)
    try:
        Pool(queue, command, words, workers[1], until).run_all(Display(queue.jobs, screen, note), again)
    except KeyboardInterrupt as stop:
        raise type(stop)(RESUME) from None


def exit_status(queue: "Queue | MemoryQueue") -> int:
    """1 where runs failed or could not be made, else 75 where runs are left; prints a sentence on either."""
    lost = [job for job, state in queue.states().items() if state.name == "lost" and queue.jobs.makes(job)]
    failed = len(queue.broken) + (0 if queue.jobs.keeps_lost else len(lost))
    if failed:
        print(f"{count(failed, 'run')} failed; the lines above name the logs; {AGAIN}")
        return FAILED
    if not queue.is_done():
        print(f"the time is over, and runs are left: {AGAIN}")
        return UNFINISHED
    return FINISHED
