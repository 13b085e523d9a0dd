"""`repro sweep`: serve a study with some workers; `sweep status`: how far it is; `sweep table`: all its runs."""

import argparse
import functools
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from repro.cli.arguments import add_logger, checked_int
from repro.errors import UserError
from repro.jobs.processes import as_one_interrupt
from repro.records import store
from repro.records.loggers import check_shared_id
from repro.runs.bootstrap import check_possible
from repro.runs.registry import get_task
from repro.text import LiveLine, count, duration, shown

if TYPE_CHECKING:
    from repro.jobs.job import Job
    from repro.studies.study import Study

BEST = 3
STOPPED = "stopped; run the same command again to resume"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "repro sweep [-h] [status | table] STUDY [--workers N] [--storage URL] [--device D] [--logger LIST]"
    parser.add_argument(
        "words",
        metavar="STUDY",
        nargs="+",
        help="a name in sweeps/, or the path of a .toml file; with 'status' before it: how far it is; with "
        "'table': writes every run that this machine has into sweeps/tables/STUDY.csv",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=lambda text: checked_int("--workers", text, 1, 1024),
        default=1,
        help="processes, one thread each (default 1); call it on more machines for more",
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="where the queue is kept: any Optuna storage, such as sqlite:///FILE, or the path of a journal file "
        "(default: a journal in results/studies/STUDY, a folder that machines may share)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu (default) or cuda")
    add_logger(parser, default="none by default, unless WANDB_MODE is set")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)


def execute(args: argparse.Namespace) -> int:
    """Train what is wanted, then draw and print the best; 1 when workers ended before the study did."""
    from repro.studies import studyfile

    *before, name = args.words
    if before not in ([], ["status"], ["table"]):
        raise UserError(f"repro sweep {' '.join(args.words)}: wants one STUDY, or status STUDY, or table STUDY")
    path = studyfile.find(name)
    study = studyfile.load(path)
    if before == ["table"]:
        return _table(study, args.storage)
    _require_optuna()
    if before:
        return _status(study, args.storage)
    store.require_writable(store.study_folder(study.name))
    if args.worker:
        return _work(study, args)
    return _sweep(study, path, args)


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            f"a sweep needs {error.name}, which is not installed; `pip install optuna` sets it up"
        ) from None


def _work(study: "Study", args: argparse.Namespace) -> int:
    """Serve the study's queue as one worker process."""
    from repro.jobs.queue import Queue
    from repro.jobs.worker import serve, train

    # Ctrl-C reaches every process of a terminal, and our parent asks us to end as well.
    with as_one_interrupt(signal.SIGINT, signal.SIGTERM, message=STOPPED):
        serve(Queue(study, args.storage), functools.partial(train, device=args.device, loggers=args.logger))
    return 0


def _options(args: argparse.Namespace) -> list[str]:
    """The options of the worker processes."""
    storage = ("--storage", args.storage) if args.storage else ()
    loggers = () if args.logger is None else ("--logger", ",".join(args.logger) or "none")
    return [*storage, "--device", args.device, *loggers]


def _sweep(study: "Study", path: Path, args: argparse.Namespace) -> int:
    from repro.jobs.queue import Queue
    from repro.jobs.workers import run_workers
    from repro.studies import report
    from repro.studies.summary import announcement, best

    check_possible(get_task(study.task), args.device, None)
    if "wandb" in (args.logger or ()):
        check_shared_id(study.size)
    queue = Queue(study, args.storage)
    states = queue.fill()
    left = study.size - sum(state.is_over for state in states.values())
    print(announcement(study, states))
    if queue.is_done():
        print("nothing to train: every run is done")
    else:
        screen = LiveLine()
        try:
            workers = min(args.workers, max(left, 1))
            run_workers(queue, path, workers, _options(args), screen, lambda states: best(study, states, 1))
        except KeyboardInterrupt:
            screen.clear()
            raise KeyboardInterrupt(STOPPED) from None
    states = queue.states()
    files = report.write(study, states, store.study_folder(study.name))
    print(best(study, states, BEST))
    print(f"written: {', '.join(shown(file) for file in files)}")
    if not queue.is_done():
        print("the workers ended before the study; run the same command again to resume")
        return 1
    return 0


def _table(study: "Study", url: str | None) -> int:
    """Write the table of the study's runs."""
    from repro.studies import table

    pruned: list[Job] = []
    if study.pruning:  # a pruned run has no record: only the queue knows it
        _require_optuna()
        from repro.jobs.queue import Queue
        from repro.jobs.storage import begun

        states = Queue(study, url).states() if begun(study, url) else {}
        pruned = [job for job, state in states.items() if state.name == "pruned"]
    path, runs = table.write(study, pruned=pruned)
    print(f"{runs} of {count(study.size, 'run')} in {shown(path)}")
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
    print(counts(study, states))
    alive, stale = queue.workers()
    print(f"workers at a run: {', '.join(alive) or 'none'}")
    for worker, seconds in stale.items():
        print(f"stale lease: {worker}, not renewed for {duration(seconds)}; any worker will take its run over")
    print(best(study, states, BEST))
    return 0
