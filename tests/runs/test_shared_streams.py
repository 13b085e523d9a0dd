"""Two processes that each read half of the streams (DDP on gloo) train as one that reads all of them."""

from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from tests.runs.pair import train_together
from tests.runs.sharing import STRATEGY, fit, share
from tests.runs.small import apart


@pytest.fixture(scope="module")
def folder(processes: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both processes left their weights after each variant."""
    folder = tmp_path_factory.mktemp("ddp")
    train_together(processes, share, folder)
    return folder


@pytest.mark.parametrize("variant", STRATEGY)
def test_two_processes_are_one_with_all_streams(folder: Path, variant: str) -> None:
    first, second = (torch.load(folder / f"{variant}-{rank}.pt") for rank in range(2))
    assert apart(first, second) == 0
    assert apart(first, fit(variant)) < 1e-10
    assert apart(first, fit(variant, batch_size=2)) > 1e-3  # control: other streams of the same text
