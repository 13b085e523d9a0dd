"""W&B offline, whatever the environment says; and one mirrored run that several tests read."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.runs.run import run
from tasks.pattern_generation.config import TASK
from tests.records.mirrored import SETTINGS, only_run


def _offline(patch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        patch.delenv(name)
    patch.setenv("WANDB_MODE", "offline")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """W&B reads its variables once: what a test sets after this must come before its first run."""
    wandb = pytest.importorskip("wandb")
    _offline(monkeypatch)
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


@pytest.fixture(scope="session")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run that W&B and the CSV logger mirror."""
    wandb = pytest.importorskip("wandb")
    with pytest.MonkeyPatch.context() as patch:
        _offline(patch)
        wandb.teardown()
        out = tmp_path_factory.mktemp("mirrored")
        run(TASK, "e_prop_1", "smoke", 0, SETTINGS, out, loggers=("wandb", "csv"))
        wandb.teardown()
    return only_run(out)
