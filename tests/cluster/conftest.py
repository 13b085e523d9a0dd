"""The servers of a session: started once, stopped at its end; skipped with a sentence where they are not installed."""

import os
from collections.abc import Iterator

import pytest

from tests.cluster import postgres as server
from tests.cluster import slurm as controller
from tests.cluster.programs import free_ports, missing, open_folder
from tests.studies.conftest import results as results
from tests.studies.conftest import study as study
from tests.studies.conftest import write as write


@pytest.fixture(scope="session")
def postgres() -> Iterator[server.Postgres]:
    pytest.importorskip("psycopg")
    if absent := missing(*server.NEEDS):
        pytest.skip(absent)
    with open_folder() as folder:
        running = server.Postgres(folder / "postgres", *free_ports(1))
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def slurm() -> Iterator[controller.Slurm]:
    if absent := missing(*controller.NEEDS):
        pytest.skip(absent)
    if os.getuid() != 0:
        pytest.skip("a Slurm of one node is started by root only")
    with open_folder() as folder:
        running = controller.Slurm(folder)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread a process, no W&B, and none of the user's storages and passwords."""
    for name in ("REPRO_STORAGE", "PGPASSWORD", "PGPASSFILE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("WANDB_MODE", "disabled")
