"""Two processes that share each iteration's trials (DDP on gloo) train as one process with all of them."""

from multiprocessing.context import ForkServerContext
from typing import Any

import pytest
import torch

from repro.eprop import Held, spike_trains
from repro.errors import UserError
from repro.runs.sharing import shard
from tests.runs.pair import train_together
from tests.runs.shared_tasks import EVALUATED, MISTAKES, WAYS, batches, evaluated, module, recalls, share, trained
from tests.runs.small import largest_difference, trial, weights

EQUAL, DIFFERENT = 1e-10, 1e-6
Shares = list[dict[str, Any]]  # of each process: way -> weights and series


@pytest.fixture(scope="module")
def shared(processes: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Shares:
    folder = tmp_path_factory.mktemp("ddp")
    train_together(processes, share, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_are_one_with_all_trials(shared: Shares, way: str) -> None:
    first, second, alone = shared[0][way], shared[1][way], trained(way)
    assert largest_difference(first["weights"], second["weights"]) == 0
    assert largest_difference(first["weights"], alone["weights"]) < EQUAL
    assert largest_difference(alone["weights"], weights(module(way))) > 1e-4  # control: training moved them
    assert first["series"].keys() == alone["series"].keys() >= {"loss", "rate_hz"}
    for name, values in alone["series"].items():
        assert first["series"][name] == pytest.approx(values, rel=1e-9), name
        assert first["series"][name] == second["series"][name], name


@pytest.mark.parametrize("way", EVALUATED)
def test_two_processes_evaluate_as_one(shared: Shares, way: str) -> None:
    assert [share["evaluated"][way] for share in shared] == pytest.approx([evaluated(way)] * 2, rel=1e-6)
    assert 0 < evaluated(way) < 1


@pytest.mark.parametrize("mistake", MISTAKES)
def test_control_mistakes_give_other_weights(shared: Shares, mistake: str) -> None:
    for way in MISTAKES[mistake]:
        assert largest_difference(shared[0][f"{way}, {mistake}"]["weights"], shared[0][way]["weights"]) > DIFFERENT, way


@pytest.mark.parametrize("way", ["pattern_generation", "store_recall", "speech"])
def test_the_parts_are_the_whole_batch(way: str) -> None:
    whole = batches(way)[0]
    parts = [shard(whole, rank, 2) for rank in range(2)]
    assert shard(whole, 0, 1) is whole

    def pieces(batch: Any) -> list[torch.Tensor]:
        dense = batch.inputs if isinstance(batch.inputs, torch.Tensor) else batch.inputs.dense()
        others = batch.schedule if way == "store_recall" else batch[1:]
        return [dense, *others]

    for one, two, all_of_it in zip(*map(pieces, (*parts, whole)), strict=True):
        assert torch.equal(torch.cat([one, two]), all_of_it)
    assert not torch.equal(*(pieces(part)[0] for part in parts))


def test_parts_of_store_recall_have_unequal_numbers_of_recalls() -> None:
    for batch in batches("store_recall"):
        one, two = (recalls(shard(batch, rank, 2)) for rank in range(2))
        if one != two:
            return
    pytest.fail("with equal numbers nothing could go wrong")


@pytest.mark.parametrize(
    "batch", [trial(0), (spike_trains(torch.ones(3, 2, 2)),), Held(torch.ones(5, 2, 2), 5)], ids=["1", "3", "5"]
)
def test_trials_that_cannot_be_shared_evenly_are_refused(batch: Any) -> None:
    with pytest.raises(UserError, match=r"batch_size=(1|3|5): 2 processes cannot share .* choose a multiple of 2"):
        shard(batch, 0, 2)
