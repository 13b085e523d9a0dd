"""Where a study's queue is kept: a journal file in a shared folder, or whatever database Optuna can be given."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileOpenLock, JournalRedisBackend

from repro.errors import UserError
from repro.jobs.databases import exclusively, has_password, open_database, shown
from repro.jobs.job import JobList, settings_text
from repro.jobs.journal_file import open_journal
from repro.jobs.patience import PatientStorage, reason
from repro.jobs.pruner import pruner
from repro.records import store

FILE = "study file"  # the study attribute that keeps what the runs are
DATA = "data"  # the one that keeps what they are trained on; older studies have none, and continue with what is here
VARIABLE = "REPRO_STORAGE"  # of the environment: a URL, which may have a password

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
warnings.filterwarnings("ignore", "The reported value is ignored")  # a run that goes back to a checkpoint repeats some


def begun(study: JobList, url: str | None) -> bool:
    """Whether the storage has the queue; makes none. Raises UserError when the storage cannot be reached."""
    url, where = location(url), place(study, url)
    path = _file(study, url)
    if path is not None and not path.exists():
        return False
    with _as_sentence(where):
        storage = PatientStorage(_storage(study, url), where)
        try:
            storage.get_study_id_from_name(study.name)
        except KeyError:
            return False
    return True


def place(study: JobList, url: str | None) -> str:
    """Where the queue is kept, in words without a password."""
    url = location(url)
    return shown(url) if url else str(study.folder)


def open_study(study: JobList, url: str | None = None) -> tuple[optuna.Study, Any]:
    """The Optuna study of a study file, made if need be, and its storage, whose calls wait while it is away.

    `url` is a database's URL, the path of a journal, or None (see `location`).
    Raises UserError when the storage cannot be reached, or holds a study of that name whose runs were others or on
    other data.
    """
    url, where = location(url), place(study, url)
    with _as_sentence(where):
        storage = PatientStorage(_storage(study, url), where)
        options: dict[str, Any] = {
            "storage": storage,
            "sampler": optuna.samplers.RandomSampler(),
            "pruner": pruner(study.pruning) if study.pruning else optuna.pruners.NopPruner(),
            "study_name": study.name,
        }
        try:  # creating one that exists writes in a journal, and reading should write nothing
            opened = optuna.load_study(**options)
        except KeyError:
            opened = optuna.create_study(**options, direction=study.direction, load_if_exists=True)
        if FILE not in opened.user_attrs:
            if study.data:
                opened.set_user_attr(DATA, dict(study.data))
            opened.set_user_attr(FILE, study.fingerprint)
            if study.metrics:
                opened.set_metric_names([study.metrics[0]])
        known = opened.user_attrs
    _require_same(study, known, str(_file(study, url) or f"the study in {where}"))
    return opened, storage


def _require_same(study: JobList, known: Mapping[str, Any], queue: str) -> None:
    """Raises UserError where the study in the storage was begun with other runs, or on other data."""
    if known[FILE] != study.fingerprint:
        raise UserError(
            f"study {study.name} was begun with other runs than its file names now: rename the file, or delete "
            f"{queue} (runs that are finished are read, not trained again)"
        )
    before = known.get(DATA, study.data)
    if before != study.data:
        raise UserError(
            f"study {study.name} was begun on other data ({settings_text(before.items())}) than this machine has "
            f"({settings_text(study.data.items())}): give it the same data, rename the file, or delete {queue}"
        )


@contextlib.contextmanager
def filling(study: JobList, url: str | None) -> Iterator[None]:
    """One process at a time, where the storage has locks: none enqueues what another one has just enqueued."""
    url = location(url)
    path = _file(study, url)
    if path is None:
        with exclusively(str(url), study.name):
            yield
        return
    lock = JournalFileOpenLock(f"{path.absolute()}.filling")
    lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # taken away by a process that held us for dead
            lock.release()


def location(url: str | None) -> str | None:
    """The storage that is used: the given one, else that of the environment; None for a journal beside the study.

    Raises UserError for a password on the command line.
    """
    if url and "://" in url and has_password(url):
        raise UserError(
            f"--storage {shown(url)}: every user of this machine can read a password on the command line; "
            f"put the URL into the variable {VARIABLE}, or the password into ~/.pgpass"
        )
    return url or os.environ.get(VARIABLE) or None


def _file(study: JobList, url: str | None) -> Path | None:
    if url is None:
        return study.folder / store.QUEUE
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    return None if "://" in url else Path(url)


def _storage(study: JobList, url: str | None) -> Any:
    path = _file(study, url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    if url is None or "://" not in url:
        return optuna.storages.JournalStorage(open_journal(Path(str(path))))
    if url.startswith("redis"):
        return optuna.storages.JournalStorage(JournalRedisBackend(url))
    return open_database(url)


@contextlib.contextmanager
def _as_sentence(where: str) -> Iterator[None]:
    """What storages raise is of many kinds: of Optuna, SQLAlchemy, the database's driver, the file system."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"cannot use the storage {where}: {reason(error)}") from None
