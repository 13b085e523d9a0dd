"""Windows that a CUDA device records and replays, compared with the CPU's; on the CPU the replays are emulated."""

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels.cuda_graph import Replayed
from repro.eprop.layers import algorithm_1
from repro.runs.rules import window_rule
from tasks.copy_repeat.config import VARIANTS, CopyRepeatConfig
from tasks.copy_repeat.data import CopyWindow, in_windows
from tasks.copy_repeat.module import CopyRepeatModule
from tasks.copy_repeat.sequences import Level, sequences
from tests.oracle.eprop.emulated import Emulated
from tests.oracle.eprop.lstm_tape import relative

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
EXACT, WRONG = 1e-9, 1e-7
UPDATES = 4  # of all windows: computed, recorded, replayed, replayed


def trained(variant: str, device: str = "cpu", updates: int = UPDATES) -> dict[str, Tensor]:
    """The weights after some updates with the windows of two batches of sequences."""
    config = CopyRepeatConfig(**{"units": 9, "synthetic_hidden": 5, "batch_size": 4, **VARIANTS[variant].settings})
    module = CopyRepeatModule(config, 0).double().to(device)
    module.network.layer.rule = window_rule(config)
    optimizer = torch.optim.SGD(module.parameters(), 0.01)
    for update in range(updates):
        for batch in in_windows(sequences(Level(3, 2), 4, 0, "training", update % 2), config.truncation_steps):
            here: CopyWindow = module.transfer_batch_to_device(batch, torch.device(device), 0)
            optimizer.zero_grad()
            module.window_loss(here).loss.backward()
            optimizer.step()
    return {name: weight.detach().cpu() for name, weight in module.named_parameters()}


def assert_trained_alike(replayed: dict[str, Tensor], variant: str) -> None:
    computed, fewer = trained(variant), trained(variant, updates=UPDATES - 1)
    for name, wanted in computed.items():
        assert relative(replayed[name], wanted) < EXACT, name
        assert relative(fewer[name], wanted) > WRONG, name  # control: the last replay was of this batch


@cuda
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_replayed_window_is_the_computed_one(variant: str) -> None:
    assert_trained_alike(trained(variant, "cuda"), variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_emulated_replay_is_the_computed_window(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, vectors and weights keep their memory, and no replay overwrites what is still used."""
    with monkeypatch.context() as patch:
        patch.setattr(algorithm_1, "Replayed", Emulated)
        patch.setattr(algorithm_1, "GRAPH_DEVICES", ("cpu",))
        before = Emulated.replays
        replayed = trained(variant)
        assert Emulated.replays - before >= UPDATES - 1
    assert_trained_alike(replayed, variant)


@cuda
def test_a_shape_that_is_new_is_computed_and_recorded_anew() -> None:
    calls: list[int] = []

    def multiply(x: Tensor, times: int) -> Tensor:
        calls.append(len(x))
        return times * x

    replayed = Replayed(multiply)
    for k in range(1, 5):
        for size, times in ((2, 2), (3, 2), (3, 5)):
            x = torch.full((size,), float(k), device="cuda")
            assert torch.equal(replayed(x, times), times * x)
    assert sorted(calls) == [2, 2, 3, 3, 3, 3]  # each shape once computed and once recorded
