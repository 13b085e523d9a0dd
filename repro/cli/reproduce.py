"""`repro reproduce`: all runs of a figure, then the figure and its verdicts. What `make figN` calls."""

import argparse
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from repro.cli.arguments import parse_list, parse_seeds
from repro.cli.figures import check_panels, files_line
from repro.cli.launching import add_launcher, check_launcher, launch, submission
from repro.cli.serving import AGAIN, WORKER, add_options, add_workers, open_queue, require_optuna, time_limit, train
from repro.errors import FAILED, FINISHED, UNFINISHED, UserError
from repro.jobs.figure_runs import FigureRuns, job_of_run
from repro.jobs.job import Job, JobStates
from repro.jobs.plan import STARTUP_SECONDS, PlannedRun, Words, makespan, plan, run_words
from repro.jobs.training import headline, record_of
from repro.records import store
from repro.records.loggers import check_shared_id
from repro.runs import registry
from repro.runs.bootstrap import check_possible
from repro.runs.task import Task
from repro.text import count, duration, megabytes, shown, table


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
    add_workers(parser, "--jobs", 2, "runs at a time")
    parser.add_argument(
        "--panels", metavar="LIST", type=parse_list, help="train what these need and draw them, such as 2a,2b"
    )
    add_options(parser, "wandb by default, where it is installed")
    parser.add_argument("--dry-run", action="store_true", help="print the plan (and the script for Slurm), and stop")
    add_launcher(parser, dry_run=False)


def execute(args: argparse.Namespace, words: Words | None = None, worker: Sequence[str] = WORKER) -> int:
    """Plan, train what is missing, draw, judge.

    Returns 1 when a run failed, whatever the verdicts; else 75 when runs are left because the minutes are over.
    `words` and `worker` replace the command lines of the runs and of the workers.
    """
    until, elsewhere = time_limit(args.minutes), check_launcher(args)
    tasks = tasks_behind(args.figure, args.panels)
    runs = plan(tasks, args.profile, args.seeds)
    root = store.require_writable(store.folder("runs"))
    missing = [run for run in runs if not run.finished]
    if missing and not args.dry_run and not elsewhere:
        for task in tasks:
            check_possible(task, args.device, args.minutes)
    print("\n".join([announcement(args.figure, args.profile, runs, args.jobs, root), *data_lines(tasks)]))
    if args.dry_run:
        print(itemised(missing), end="")
        return _launch(args, missing) if elsewhere else 0
    ends = []
    if missing:
        check_shared_id(len(missing), args.logger)
        if elsewhere:
            return _launch(args, missing)
        jobs = FigureRuns(args.figure, args.profile, missing)
        queue = open_queue(jobs, args.storage)
        workers = "--jobs", min(args.jobs, len(missing))
        words = words or run_words(args.device, args.logger)
        train(queue, words, workers, until, [job_of_run(run) for run in missing], command=worker)
        states = queue.states()
        ends = [_end(run, states, queue.broken) for run in missing]
    return _report(args, len(runs), ends)


def _launch(args: argparse.Namespace, missing: Sequence[PlannedRun]) -> int:
    """Put the missing runs into the queue, and have Slurm work it off."""
    require_optuna("--launcher slurm")
    jobs = FigureRuns(args.figure, args.profile, missing)
    seeds = ("--seeds", ",".join(f"{seed}-{seed}" for seed in args.seeds)) if args.seeds else ()
    panels = ("--panels", ",".join(args.panels)) if args.panels else ()
    last = ("reproduce", args.figure, "--profile", args.profile, *seeds, *panels, "--jobs", "1")
    submitted = submission(args, jobs.name, jobs.name, jobs.folder, args.jobs, last)
    if not args.dry_run:
        open_queue(jobs, args.storage).fill([job_of_run(run) for run in missing])
    return launch(submitted, args.dry_run)


def _end(run: PlannedRun, states: JobStates, broken: Mapping[Job, str]) -> tuple[str, str, str]:
    """A run; finished, failed, unfinished or not begun; its headline metric, why it failed, or how far it is."""
    job, record = job_of_run(run), record_of(run)
    state = states.get(job)
    if job in broken:
        return str(run), "failed", broken[job]
    if state and state.name == "lost":
        return str(run), "failed", state.reason
    if state and state.name == "finished":
        return str(run), "finished", headline(run, state.metrics)
    if record and record.status == "unfinished":
        return str(run), "unfinished", record.reason
    return str(run), "not begun", ""


def _report(args: argparse.Namespace, runs: int, ends: Sequence[tuple[str, str, str]]) -> int:
    """Draw and judge what is there, print what is left (`ends` are of missing runs), and return the exit status."""
    number = Counter(state for _, state, _ in ends)
    failed, left = number["failed"], number["unfinished"] + number["not begun"]
    if failed + number["not begun"] < runs:
        conclude(args.figure, args.panels, args.profile != "smoke")
    if failed:
        print(f"\n{count(failed, 'run')} of {runs} failed; `repro runs` prints why; this command retries them")
    if left:
        print(f"\n{table(ends)}")
        over = "" if args.minutes is None else f"{args.minutes:g} min are over, "
        print(f"{over}{left} of {count(runs, 'run')} unfinished: {AGAIN}")
    return FAILED if failed else UNFINISHED if left else FINISHED


def tasks_behind(figure: str, panels: Sequence[str] | None = None) -> list[Task]:
    """The tasks whose records draw a figure, or those of its panels that are wanted.

    Raises UserError when the figure or a panel is unknown.
    """
    tasks = registry.tasks_of(figure)
    check_panels(figure, panels)
    return [task for task in tasks if panels is None or set(panels) & set(task.panels)]


def announcement(figure: str, profile: str, runs: Sequence[PlannedRun], workers: int, root: Path) -> str:
    """Finished runs, missing runs, and the expected time and disk space."""
    missing = [run for run in runs if not run.finished]
    where = shown(root)
    if not missing:
        return f"nothing to train: {len(runs)} of {len(runs)} finished in {where}"
    seconds = [run.seconds for run in missing]
    space = megabytes(sum(run.megabytes for run in missing))
    total = STARTUP_SECONDS + makespan(seconds, workers)
    clock = f"{duration(total)}, {workers} at a time ({duration(sum(seconds))} of one core)"
    done = f"{len(runs) - len(missing)} of {count(len(runs), 'run')} finished"
    lines = [
        f"{figure}, profile {profile}: {done}; {len(missing)} to train",
        f"expected: about {clock}, and {space} in {where} ({megabytes(_free(root))} free)",
    ]
    return "\n".join(lines)


def data_lines(tasks: Sequence[Task]) -> list[str]:
    """One line per task that is trained on a substitute of the paper's data: its name, and why there is no verdict."""
    from repro.claims.claim import load_claims

    why = {claim.task: claim.licence for claim in load_claims()}
    return [f"data: {task.substitute()}; {why.get(task.name, 'no verdicts')}" for task in tasks if task.substitute()]


def itemised(runs: Sequence[PlannedRun]) -> str:
    """One line per run, in the order in which they would be trained."""
    rows = [(run.task, run.variant, f"seed {run.seed}", f"about {duration(run.seconds)}") for run in runs]
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
