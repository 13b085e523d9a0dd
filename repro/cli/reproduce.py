"""`repro reproduce`: all runs of a figure, then the figure and its verdicts. What `make figN` calls."""

import argparse
import math
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from repro.cli.arguments import add_logger, checked_int, checked_minutes, parse_list, parse_seeds
from repro.cli.figures import check_panels, files_line
from repro.cli.run_worker import RESUME, serve
from repro.errors import UserError
from repro.jobs.plan import STARTUP_SECONDS, PlannedRun, makespan, plan
from repro.jobs.pool import NOT_BEGUN, Pool, RunEnd, Words, run_words
from repro.jobs.processes import repro, thread_notes
from repro.records import store
from repro.records.loggers import check_shared_id
from repro.runs import registry
from repro.runs.bootstrap import check_possible
from repro.runs.task import Task
from repro.text import LiveLine, count, duration, megabytes, shown, table

UNFINISHED = 75  # exit status; EX_TEMPFAIL of sysexits.h
AGAIN = "run the same command again to resume"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("figure", metavar="FIG", help="such as fig1")
    parser.add_argument(
        "--profile", metavar="P", default="quick", help="smoke, quick (default), paper; a task may have others"
    )
    parser.add_argument(
        "--seeds",
        metavar="S",
        type=parse_seeds,
        help='a count ("3" is 0, 1, 2), a range (0-9) or a list (0,3,5-7; "3-3" is seed 3 alone); '
        "the profile's own by default",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=lambda text: checked_int("--jobs", text, 1, 1024),
        default=2,
        help="runs at a time (default 2)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--panels", metavar="LIST", type=parse_list, help="train what these need and draw them, such as 2a,2b"
    )
    add_logger(parser)
    parser.add_argument(
        "--minutes",
        metavar="M",
        type=checked_minutes,
        help="stop after so many minutes: each run with the iteration it is in, and with a checkpoint; "
        "exit status 75 where runs are left: run the same command again to resume",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)


def execute(args: argparse.Namespace, words: Words | None = None, worker: Sequence[str] = ()) -> int:
    """Plan, train what is missing, draw, judge.

    Returns 1 when a run failed, whatever the verdicts; else 75 when runs are left because the minutes are over.
    `words` and `worker` replace the command lines of the runs and of the workers.
    """
    if args.worker:
        return serve()
    until = math.inf if args.minutes is None else time.time() + 60 * args.minutes
    tasks = tasks_behind(args.figure, args.panels)
    jobs = plan(tasks, args.profile, args.seeds)
    root = store.require_writable(store.folder("runs"))
    missing = [job for job in jobs if not job.finished]
    if missing and not args.dry_run:
        for task in tasks:
            check_possible(task, args.device, args.minutes)
    print("\n".join([announcement(args.figure, args.profile, jobs, args.jobs, root), *data_lines(tasks)]))
    if args.dry_run:
        print(itemised(missing), end="")
        return 0
    check_shared_id(len(missing))
    command = worker or repro("reproduce", args.figure, "--worker")
    pool = Pool(command, words or run_words(args.device, args.logger), args.jobs, until)
    return _report(args, jobs, _train(pool, missing))


def _train(pool: Pool, missing: Sequence[PlannedRun]) -> list[RunEnd]:
    """Train these runs; how each ended."""
    screen = LiveLine()
    for line in thread_notes("--jobs", min(pool.size, len(missing))):
        screen.say(line)
    try:
        return pool.run_all(missing, screen)
    except KeyboardInterrupt:
        screen.clear()
        raise KeyboardInterrupt(RESUME) from None


def _report(args: argparse.Namespace, jobs: Sequence[PlannedRun], ends: Sequence[RunEnd]) -> int:
    """Draw and judge what is there, print what is left, and return the exit status."""
    number = Counter(end.state for end in ends)
    failed, left = number["failed"], number["unfinished"] + number[NOT_BEGUN]
    if failed + number[NOT_BEGUN] < len(jobs):
        conclude(args.figure, args.panels, args.profile != "smoke")
    if failed:
        print(f"\n{count(failed, 'run')} of {len(jobs)} failed; `repro runs` prints why; this command retries them")
    if left:
        print(f"\n{table([(str(end.job), end.state, end.detail) for end in ends])}")
        print(f"{args.minutes:g} min are over, {left} of {count(len(jobs), 'run')} unfinished: {AGAIN}")
    return 1 if failed else UNFINISHED if left else 0


def tasks_behind(figure: str, panels: Sequence[str] | None = None) -> list[Task]:
    """The tasks whose records draw a figure, or those of its panels that are wanted.

    Raises UserError when the figure or a panel is unknown.
    """
    tasks = registry.tasks_of(figure)
    check_panels(figure, panels)
    return [task for task in tasks if panels is None or set(panels) & set(task.panels)]


def announcement(figure: str, profile: str, jobs: Sequence[PlannedRun], workers: int, root: Path) -> str:
    """Finished runs, missing runs, and the expected time and disk space."""
    missing = [job for job in jobs if not job.finished]
    where = shown(root)
    if not missing:
        return f"nothing to train: {len(jobs)} of {len(jobs)} finished in {where}"
    seconds = [job.seconds for job in missing]
    space = megabytes(sum(job.megabytes for job in missing))
    total = STARTUP_SECONDS + makespan(seconds, workers)
    clock = f"{duration(total)}, {workers} at a time ({duration(sum(seconds))} of one core)"
    done = f"{len(jobs) - len(missing)} of {count(len(jobs), 'run')} finished"
    lines = [
        f"{figure}, profile {profile}: {done}; {len(missing)} to train",
        f"expected: about {clock}, and {space} in {where} ({megabytes(_free(root))} free)",
    ]
    return "\n".join(lines)


def data_lines(tasks: Sequence[Task]) -> list[str]:
    """One line per task that is trained on a substitute of the paper's data: its name, and why there is no verdict."""
    from repro.claims.claim import load_claims

    why = {claim.task: claim.licence for claim in load_claims()}
    return [f"data: {task.substitute()}; {why[task.name]}" for task in tasks if task.substitute()]


def itemised(jobs: Sequence[PlannedRun]) -> str:
    """One line per job, in the order in which they would be trained."""
    rows = [(job.task, job.variant, f"seed {job.seed}", f"about {duration(job.seconds)}") for job in jobs]
    return f"\n{table(rows)}\n" if rows else ""


def conclude(figure: str, panels: Sequence[str] | None, verdicts: bool = True) -> None:
    """Draw the figure and print the verdicts on its claims, or the reason why it cannot be drawn."""
    from repro.claims.claim import load_claims
    from repro.cli.check import brief, judge

    try:
        print(f"\n{files_line(registry.draw(figure, 'runs', panels, None))}")
    except UserError as error:
        print(f"\nno figure and no verdicts: {error}")
        return
    if not verdicts:
        print("\nsmoke runs are too small to judge anything: no verdicts")
        return
    if figure not in {claim.figure for claim in load_claims()}:
        print(f"\n{figure} has no claims, so there are no verdicts")
        return
    print(f"\n{brief(judge('runs', figure, panels))}")
    print(f"the reasons: repro check --why --records runs --figure {figure}")


def _free(root: Path) -> float:
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    return shutil.disk_usage(there).free / 1e6
