"""Where a study's queue is kept: a journal file in a shared folder, or whatever database Optuna can be given."""

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import (
    JournalFileBackend,
    JournalFileOpenLock,
    JournalFileSymlinkLock,
    JournalRedisBackend,
)

from repro.errors import UserError
from repro.jobs.job import JobList
from repro.jobs.pruner import pruner
from repro.records import store

FILE = "study file"  # the study attribute that keeps what the runs are
WAIT_SECONDS = 60  # for a database file that another process has locked
PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds between attempts to reach a database

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def begun(study: JobList, url: str | None) -> bool:
    """Whether there can be anything to read: False when the file that would hold the queue does not exist."""
    path = _file(study, url)
    return path is None or path.exists()


def open_study(study: JobList, url: str | None = None) -> tuple[optuna.Study, optuna.storages.BaseStorage]:
    """The Optuna study of a study file, made if need be. `url` is None, a database's URL, or the path of a journal.

    Raises UserError when the storage cannot be reached, or holds a study of that name whose runs were others.
    """
    with _as_sentence(url or str(study.folder)):
        storage = _storage(study, url)
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
        known = opened.user_attrs.get(FILE)
        if known is None:
            opened.set_user_attr(FILE, study.fingerprint)
            if study.metrics:
                opened.set_metric_names([study.metrics[0]])
    if known not in (None, study.fingerprint):
        raise UserError(
            f"study {study.name} was begun with other runs than its file names now: rename the file, or delete "
            f"{_file(study, url) or f'the study in {url}'} (runs that are finished are read, not trained again)"
        )
    return opened, storage


@contextlib.contextmanager
def filling(study: JobList, url: str | None) -> Iterator[None]:
    """One process at a time, where the queue is a file: none enqueues what another one has just enqueued."""
    path = _file(study, url)
    if path is None:
        yield
        return
    lock = JournalFileOpenLock(f"{path.absolute()}.filling")
    lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # taken away by a process that held us for dead
            lock.release()


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
        return optuna.storages.JournalStorage(_journal(Path(str(path))))
    if url.startswith("redis"):
        return optuna.storages.JournalStorage(JournalRedisBackend(url))
    return optuna.storages.get_storage(_database(url, is_sqlite=path is not None))


def _journal(path: Path) -> JournalFileBackend:
    """A journal file. A last line that was torn by a kill is mended first: Optuna would append to it, and then no
    longer read the file. Raises UserError when it is no file."""
    lock = JournalFileSymlinkLock(str(path.absolute()))
    if os.path.lexists(path):
        if not path.is_file():
            raise UserError(f"{path} should be a file, and is something else; move it away")
        lock.acquire()
        try:
            _mend(path)
        finally:
            lock.release()
    return JournalFileBackend(str(path.absolute()), lock)


def _mend(path: Path) -> None:
    """End the last line of a journal, or take it away if it is not whole."""
    with path.open("rb+") as file:
        data = file.read()
        start = data.rfind(b"\n") + 1
        if start == len(data):
            return
        try:
            json.loads(data[start:])
        except ValueError:
            file.truncate(start)
        else:
            file.write(b"\n")


def _database(url: str, is_sqlite: bool) -> optuna.storages.RDBStorage:
    """A database; workers that start at once may all try to make its tables, and all but one fail at first."""
    import sqlalchemy

    options = {"connect_args": {"timeout": WAIT_SECONDS}} if is_sqlite else {}
    for pause in PAUSES:
        with contextlib.suppress(sqlalchemy.exc.DBAPIError):
            storage = optuna.storages.RDBStorage(url, options)
            break
        time.sleep(pause)
    else:
        storage = optuna.storages.RDBStorage(url, options)
    if is_sqlite:
        _lock_from_the_start(storage.engine)
    return storage


def _lock_from_the_start(engine: Any) -> None:
    """SQLite ignores SELECT ... FOR UPDATE, by which Optuna keeps two workers from taking the same trial: let each
    transaction lock the file from its start (as SQLAlchemy's documentation of SQLite has it)."""
    import sqlalchemy

    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections made so far have not this listener
    sqlalchemy.event.listen(engine, "connect", connect)
    sqlalchemy.event.listen(engine, "begin", begin)


@contextlib.contextmanager
def _as_sentence(where: str) -> Iterator[None]:
    """What storages raise is of many kinds: of Optuna, SQLAlchemy, the database's driver, the file system."""
    try:
        yield
    except Exception as error:
        words = str(error).strip() or type(error).__name__
        raise UserError(f"cannot use the storage {where}: {words.splitlines()[0]}") from None
