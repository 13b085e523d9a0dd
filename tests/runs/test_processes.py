"""Two processes that share a batch (DDP on gloo) train as one process with the whole batch."""

from multiprocessing.context import ForkServerContext

import pytest
import torch
from torch import Tensor

from tests.runs.pair import train_together
from tests.runs.small import apart, fit, small, together, trial, weights
from tests.runs.workers import SHARED, UPDATES, share

EQUAL = 1e-10
OWN = "each process its own rates"
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def shared(processes: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Weights]]:
    """The weights of both processes for each way of SHARED."""
    folder = tmp_path_factory.mktemp("ddp")
    train_together(processes, share, folder)
    return {name: [torch.load(folder / f"{name}-{rank}.pt") for rank in range(2)] for name in SHARED}


def alone(name: str) -> Weights:
    """The weights of one process that sees all trials of an update in one batch."""
    settings, options, micro_batches = SHARED[name]
    size = 2 * micro_batches
    batches = [together([trial(size * i + k) for k in range(size)]) for i in range(UPDATES)]
    kept = {key: value for key, value in options.items() if key != "strategy"}
    return weights(fit(small(**settings), batches, **kept))


@pytest.mark.parametrize("name", [name for name in SHARED if name != OWN])
def test_two_processes_are_one_with_both_batches(shared: dict[str, list[Weights]], name: str) -> None:
    first, second = shared[name]
    assert apart(first, second) == 0
    assert apart(first, alone(name)) < EQUAL


def test_control_rates_that_are_not_shared_give_other_weights(shared: dict[str, list[Weights]]) -> None:
    assert apart(shared[OWN][0], alone(OWN)) > 1e-5


def test_control_half_of_the_trials_gives_other_weights(shared: dict[str, list[Weights]]) -> None:
    half = fit(small(), [trial(2 * i) for i in range(UPDATES)])
    assert apart(shared["eprop"][0], weights(half)) > 1e-5
