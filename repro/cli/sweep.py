"""`repro sweep`: serve a study with some workers; `sweep status`: how far it is; `sweep table`: all its runs."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro.cli.launching import add_launcher, check_launcher, launch, submission
from repro.cli.serving import add_options, add_workers, exit_status, require_optuna, time_limit, train
from repro.errors import UserError
from repro.records import store
from repro.records.loggers import check_shared_id
from repro.runs.bootstrap import check_possible
from repro.runs.registry import get_task
from repro.text import count, duration, shown

if TYPE_CHECKING:
    from repro.jobs.job import Job
    from repro.jobs.slurm import Submission
    from repro.studies.study import Study

BEST = 3


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options = "[--workers N] [--device D] [--minutes M] [--from-table] [--storage URL] [--logger LIST] [--dry-run]"
    parser.usage = f"repro sweep [-h] [status | table] STUDY {options} [--launcher slurm ...]"
    parser.add_argument(
        "words",
        metavar="STUDY",
        nargs="+",
        help="a name in sweeps/, or the path of a .toml file; with 'status' before it: how far it is; with "
        "'table': writes every run that this machine has into sweeps/tables/STUDY.csv",
    )
    add_workers(
        parser, "--workers", 1, "runs at a time, one thread each; `repro work STUDY` on other machines adds more"
    )
    parser.add_argument(
        "--from-table",
        action="store_true",
        help="count the runs that sweeps/tables/STUDY.csv has as done: only the others are trained",
    )
    add_options(parser, "none by default, unless WANDB_MODE is set")
    add_launcher(parser)


def execute(args: argparse.Namespace) -> int:
    """Train what is wanted, then draw and print the best; 1 when workers ended before the study did."""
    from repro.studies import studyfile

    *before, name = args.words
    if before not in ([], ["status"], ["table"]):
        raise UserError(f"repro sweep {' '.join(args.words)}: wants one STUDY, or status STUDY, or table STUDY")
    if before:
        _refuse_options(args)
    study = studyfile.load(studyfile.find(name))
    if before == ["table"]:
        return _table(study, args.storage)
    require_optuna("a sweep")
    if before:
        return _status(study, args.storage)
    store.require_writable(study.folder)
    return _sweep(study, args)


def _refuse_options(args: argparse.Namespace) -> None:
    """Raises UserError for options of training: `status` and `table` train nothing."""
    for name, value in vars(args).items():
        if name not in ("words", "storage", "callbacks") and value != args.parser.get_default(name):
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} is for training; `repro sweep {args.words[0]} STUDY` takes --storage alone")


def study_loggers(args: argparse.Namespace) -> Sequence[str] | None:
    """W&B gets no runs that only serve to choose settings, unless the user asks for it."""
    return () if args.logger is None and "WANDB_MODE" not in os.environ else args.logger


def _sweep(study: "Study", args: argparse.Namespace) -> int:
    from repro.jobs.plan import run_words
    from repro.jobs.queue import Queue
    from repro.jobs.storage import begun
    from repro.studies import report
    from repro.studies.known import known
    from repro.studies.summary import announcement, best
    from repro.studies.table import path_of

    until, elsewhere = time_limit(args.minutes), check_launcher(args)
    if not elsewhere:
        check_possible(get_task(study.task), args.device, args.minutes)
    check_shared_id(study.size, study_loggers(args))
    in_table = known(study) if args.from_table else {}
    if args.dry_run:
        here = Queue(study, args.storage).states() if begun(study, args.storage) else {}
        print(announcement(study, {**here, **in_table}))
        return launch(_submission(study, args), dry_run=True) if elsewhere else 0
    queue = Queue(study, args.storage)
    if args.from_table:
        queue.adopt(in_table)
        runs = f"{len(in_table)} of {count(study.size, 'run')}"
        print(f"{runs} are in {shown(path_of(study))} with this machine's data: they are not trained again")
    states = queue.fill()
    print(announcement(study, states))
    if elsewhere and not queue.is_done():
        return launch(_submission(study, args), False, f"repro sweep status {study.name}")
    if queue.is_done():
        print("nothing to train: every run is done")
    else:
        left = study.size - sum(state.is_over for state in states.values())
        workers = "--workers", min(args.workers, max(left, 1))
        words = run_words(args.device, study_loggers(args))
        train(queue, words, workers, until, note=lambda states: best(study, states, 1))
    states = queue.states()
    files = report.write(study, states, study.folder)
    print(best(study, states, BEST))
    print(f"written: {', '.join(shown(file) for file in files)}")
    return exit_status(queue)


def _submission(study: "Study", args: argparse.Namespace) -> "Submission":
    """The jobs of Slurm that serve the study; its file is named, since it need not be in sweeps/."""
    from repro.studies import studyfile

    path = str(studyfile.find(args.words[-1]).absolute())
    return submission(args, study.name, path, study.folder, args.workers, ("sweep", path))


def _table(study: "Study", url: str | None) -> int:
    """Write the table of the study's runs."""
    from repro.studies import table

    pruned: list[Job] = []
    if study.pruning:  # a pruned run has no record: only the queue knows it
        require_optuna("a study that stops runs early")
        from repro.jobs.queue import Queue
        from repro.jobs.storage import begun

        states = Queue(study, url).states() if begun(study, url) else {}
        pruned = [job for job, state in states.items() if state.name == "pruned"]
    path, runs, left_out = table.write(study, pruned=pruned)
    print(f"{runs} of {count(study.size, 'run')} in {shown(path)}")
    if left_out:
        print(f"left out: {count(left_out, 'row')} of other seeds, values or settings than the study's")
    return 0


def _status(study: "Study", url: str | None) -> int:
    """Counts, workers, best so far."""
    from repro.jobs.job import counts
    from repro.jobs.queue import Queue
    from repro.jobs.storage import begun
    from repro.studies.summary import announcement, best

    if not begun(study, url):
        print(f"{announcement(study, {})}\nnot begun; `repro sweep {study.name}` begins it")
        return 0
    queue = Queue(study, url)
    states = queue.states()
    print(announcement(study, states))
    print(counts(study.size, states))
    alive, stale = queue.workers()
    print(f"workers at a run: {', '.join(alive) or 'none'}")
    for worker, seconds in stale.items():
        print(f"stale lease: {worker}, not renewed for {duration(seconds)}; any worker will take its run over")
    print(best(study, states, BEST))
    return 0
