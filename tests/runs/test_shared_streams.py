"""Two processes that each read half of the streams (DDP on gloo) train as one that reads all of them."""

from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from tests.library.own import largest_difference
from tests.runs.pair import train_together
from tests.runs.sharing import SAME_SHARD, STRATEGY, fit, share


@pytest.fixture(scope="module")
def folder(processes: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both processes left their weights after each variant."""
    folder = tmp_path_factory.mktemp("ddp")
    train_together(processes, share, folder)
    return folder


@pytest.mark.parametrize("variant", STRATEGY)
def test_two_processes_are_one_with_all_streams(folder: Path, variant: str) -> None:
    first, second = (torch.load(folder / f"{variant}-{rank}.pt") for rank in range(2))
    assert largest_difference(first, second) == 0
    assert largest_difference(first, fit(variant)) < 1e-10
    assert largest_difference(first, fit(variant, batch_size=2)) > 1e-3  # control: other streams of the same text


def test_control_two_processes_with_the_same_shard_are_not(folder: Path) -> None:
    first, second = (torch.load(folder / f"{SAME_SHARD}-{rank}.pt") for rank in range(2))
    assert largest_difference(first, second) == 0
    assert largest_difference(first, fit("bptt_4")) > 1e-3
