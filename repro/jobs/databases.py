"""Databases as storages of queues: how they are opened, locked and named."""

import contextlib
import re
import zlib
from collections.abc import Iterator
from typing import Any

import optuna

from repro.errors import UserError
from repro.jobs.patience import is_away, patiently

WAIT_SECONDS = 60  # for a database file that another process has locked, or a server that is being started
# A server that has vanished is noticed in half a minute; TCP by itself takes two hours. (tcp_user_timeout: ms.)
LIBPQ = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
LIBPQ["tcp_user_timeout"] = 30_000
# Waiting does not help here: what PostgreSQL, MySQL, SQLite and the resolver of names print for a wrong URL.
PERMANENT = (
    r"authentication failed|no password supplied|no pg_hba.conf entry|(database|role) \S+ does not exist|Access denied|"
    r"Unknown database|unable to open database|not a database|Name or service not known|failed to resolve host"
)


def open_database(url: str) -> Any:
    """Optuna's storage in a database. Raises UserError where its driver is missing, or it cannot be reached.

    Workers that start at once may all try to make its tables, and all but one fail at first.
    """
    full, options = _engine(url)
    try:
        storage = patiently(
            lambda: optuna.storages.RDBStorage(full, options), shown(url), lambda: WAIT_SECONDS, _may_pass
        )
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None) or "its driver"
        extra = "; `pip install 'psycopg[binary]'` adds it" if missing == "psycopg" else ""
        raise UserError(f"the storage {shown(url)} needs {missing}, which is not installed{extra}") from None
    if is_sqlite(url):
        _lock_from_the_start(storage.engine)
    return optuna.storages.get_storage(storage)  # keeps finished trials in memory


def is_sqlite(url: str) -> bool:
    """Whether a URL is that of an SQLite file."""
    return url.startswith("sqlite:")


def shown(url: str) -> str:
    """A URL without its password."""
    return _parsed(url).render_as_string(hide_password=True) if "://" in url else url


def has_password(url: str) -> bool:
    """Whether a URL has a password in it."""
    parsed = _parsed(url)
    return parsed.password is not None or "password" in parsed.query


@contextlib.contextmanager
def exclusively(url: str, name: str) -> Iterator[None]:
    """One process at a time, where the database is PostgreSQL. The server frees the lock of a process that dies."""
    import sqlalchemy

    full, options = _engine(url)
    if not full.startswith("postgresql"):
        yield
        return
    engine = sqlalchemy.create_engine(full, **options)

    def locked() -> Any:
        connection = engine.connect()
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({zlib.crc32(name.encode())})")
        return connection

    connection = patiently(locked, shown(url), lambda: WAIT_SECONDS, _may_pass)
    try:
        yield
    finally:
        with contextlib.suppress(sqlalchemy.exc.DBAPIError):  # the server was restarted: the lock is free
            connection.close()


def _parsed(url: str) -> Any:
    """Raises UserError for what is no URL, without printing it: it may have a password."""
    import sqlalchemy

    try:
        return sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise UserError("the storage's URL cannot be read; it wants the form postgresql://USER@HOST/DATABASE") from None


def _engine(url: str) -> tuple[str, dict[str, Any]]:
    """The URL with its driver, and the options of SQLAlchemy's engine."""
    import sqlalchemy

    parsed, options = _parsed(url), {}
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername.startswith("postgresql+psycopg"):
        # A connection for each transaction: a server has a hundred, and a worker needs one now and then.
        options = {"connect_args": LIBPQ, "poolclass": sqlalchemy.pool.NullPool}
    elif is_sqlite(url):
        options = {"connect_args": {"timeout": WAIT_SECONDS}}
    else:
        options = {"pool_pre_ping": True}
    return parsed.render_as_string(hide_password=False), options


def _may_pass(error: Exception) -> bool:
    """Whether a database that cannot be opened may be there soon."""
    return is_away(error) and not re.search(PERMANENT, str(error.__cause__ or error))


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
