"""Quiet Lightning, and a server from which processes are started and killed without importing torch each time."""

import multiprocessing
import multiprocessing.forkserver
import sys
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest

QUIET = (
    "ignore:.*isinstance.treespec",
    "ignore:.*does not have many workers",
    "ignore:.*callbacks used to create the checkpoint",
    "ignore:.*keys that are not in the model state dict",
    "ignore:.*have no `val_dataloader`",
    "ignore:.*exists and is not empty",
)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for item in items:
        if item.path.parent.name in ("runs", "library"):
            for message in QUIET:
                item.add_marker(pytest.mark.filterwarnings(message))


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """torch's own random numbers are the same in each test, whatever ran before; torch is not imported for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def processes() -> Iterator[ForkServerContext]:
    """Starts processes that have torch and Lightning, have computed nothing yet, and use one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("WANDB_MODE", "disabled")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["tests.runs.workers", "tests.runs.shared_tasks", "tests.library.pair", "tests.runs.in_turn"]
        )
        multiprocessing.forkserver.ensure_running()
        yield context
