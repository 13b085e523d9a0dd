"""`repro work QUEUE`: train runs of a queue that `reproduce` or `sweep` has begun, on this or any other machine."""

import argparse
from typing import TYPE_CHECKING

from repro.cli.reproduce import tasks_behind
from repro.cli.serving import add_options, add_workers, exit_status, require_optuna, time_limit, train
from repro.cli.sweep import study_loggers
from repro.errors import FINISHED, UserError
from repro.jobs.figure_runs import FigureRuns
from repro.jobs.job import counts, settings_text
from repro.jobs.plan import run_words
from repro.records import store
from repro.records.loggers import check_shared_id
from repro.runs import registry
from repro.runs.bootstrap import check_possible
from repro.text import count

if TYPE_CHECKING:
    from repro.jobs.job import JobList
    from repro.jobs.queue import Queue
    from repro.runs.task import Task


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "queue",
        metavar="QUEUE",
        help="a figure and its profile, such as fig1-paper; or a study: a name in sweeps/, or the path of a .toml file",
    )
    add_workers(parser, "--workers", 1, "runs at a time, one thread each")
    add_options(parser, "of a figure's runs wandb by default, where it is installed; of a study's none")


def execute(args: argparse.Namespace) -> int:
    """Train until the queue is empty or the time is over; 1 where a run failed, 75 where runs are left.

    Raises UserError for a queue that has not been begun, where the runs that are left need data of other machines, and
    where WANDB_RUN_ID would name several runs.
    """
    require_optuna("`repro work`")
    from repro.jobs.queue import Queue
    from repro.jobs.storage import begun, place

    until = time_limit(args.minutes)
    jobs, tasks, begins = _job_list(args.queue)
    for task in tasks:
        check_possible(task, args.device, args.minutes)
    if not begun(jobs, args.storage):
        raise UserError(f"there is no queue {args.queue} in {place(jobs, args.storage)}; `{begins}` begins it")
    store.require_writable(store.folder("runs"))
    queue = Queue(jobs, args.storage)
    lacking = _lacking(queue)
    if lacking and queue.is_done():
        raise UserError(lacking)
    if lacking:
        print(lacking)
    loggers = args.logger if isinstance(jobs, FigureRuns) else study_loggers(args)
    check_shared_id(jobs.size or len(queue.states()), loggers)
    train(queue, run_words(args.device, loggers), ("--workers", args.workers), until)
    print(counts(jobs.size, queue.states()))
    status = exit_status(queue)
    if status == FINISHED and (lacking := _lacking(queue)):
        raise UserError(lacking)
    if status == FINISHED:
        print(f"`{begins}` draws the result")
    return status


def _lacking(queue: "Queue") -> str:
    """A sentence on the waiting runs whose data this machine does not have; empty where there are none."""
    jobs = [job for job, state in queue.states().items() if state.name == "waiting" and not queue.jobs.makes(job)]
    which = "; ".join(sorted({settings_text(job.point) for job in jobs}))
    left = f"{count(len(jobs), 'run')} left to a machine that has the same data as the command that planned them"
    return f"{left}: {which}" if jobs else ""


def _job_list(name: str) -> "tuple[JobList, list[Task], str]":
    """The jobs of a queue, their tasks, and the command that begins the queue. Raises UserError for an unknown name."""
    figure, _, profile = name.rpartition("-")
    if figure in registry.entries(registry.FIGURES):
        return FigureRuns(figure, profile), tasks_behind(figure), f"repro reproduce {figure} --profile {profile}"
    if name in registry.entries(registry.FIGURES):
        raise UserError(f"{name}: wants a figure and its profile, such as {name}-paper")
    from repro.studies import studyfile

    study = studyfile.load(studyfile.find(name))
    return study, [registry.get_task(study.task)], f"repro sweep {study.name}"
