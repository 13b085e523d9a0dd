"""Windows that a CUDA device records and replays, against the same computed step by step on the CPU."""

from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels.cuda_graph import Replayed
from repro.rules.window_callback import WindowRuleCallback
from tasks.copy_repeat.config import VARIANTS, CopyRepeatConfig
from tasks.copy_repeat.data import in_windows
from tasks.copy_repeat.module import CopyRepeatModule
from tasks.copy_repeat.sequences import Level, sequences
from tests.oracle.conftest import relative

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="wants CUDA")
EXACT, WRONG = 1e-9, 1e-7
UPDATES = 4  # of all windows: computed, recorded, replayed, replayed


class OneRule:
    """All of a Trainer that a rule asks for."""

    def __init__(self, rule: WindowRuleCallback) -> None:
        self.callbacks = [rule]


def trained(variant: str, device: str, updates: int = UPDATES) -> dict[str, Tensor]:
    """The weights after some updates with the windows of two batches of sequences."""
    config = CopyRepeatConfig(**{"units": 9, "synthetic_hidden": 5, "batch_size": 4, **VARIANTS[variant].settings})
    module, rule = CopyRepeatModule(config, 0).double().to(device), WindowRuleCallback(config)
    rule.setup(OneRule(rule), module, "fit")
    optimizer = torch.optim.SGD(module.parameters(), 0.01)
    for update in range(updates):
        for batch in in_windows(sequences(Level(3, 2), 4, 0, "training", update % 2), config.truncation_steps):
            moved: Any = module.transfer_batch_to_device(batch, torch.device(device), 0)
            optimizer.zero_grad()
            rule.loss(module, _double(moved))[0].backward()
            optimizer.step()
    return {name: weight.detach().cpu() for name, weight in module.named_parameters()}


def _double(batch: Any) -> Any:
    pieces = {
        name: piece and piece._replace(inputs=piece.inputs.double(), beyond=_maybe(piece.beyond))
        for name, piece in (("this", batch.this), ("following", batch.following))
    }
    return batch._replace(**pieces)


def _maybe(beyond: Tensor | None) -> Tensor | None:
    return None if beyond is None else beyond.double()


@cuda
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_replayed_window_is_the_computed_one(variant: str) -> None:
    replayed, computed = trained(variant, "cuda"), trained(variant, "cpu")
    fewer = trained(variant, "cpu", UPDATES - 1)
    for name, wanted in computed.items():
        assert relative(replayed[name], wanted) < EXACT, name
        assert relative(fewer[name], wanted) > WRONG, name  # control: the last replay was of this batch


@cuda
def test_a_shape_that_is_new_is_computed_and_recorded_anew() -> None:
    calls: list[int] = []

    def double(x: Tensor, times: int) -> Tensor:
        calls.append(len(x))
        return times * x

    replayed = Replayed(double)
    for k in range(1, 5):
        for size, times in ((2, 2), (3, 2), (3, 5)):
            x = torch.full((size,), float(k), device="cuda")
            assert torch.equal(replayed(x, times), times * x)
    assert sorted(calls) == [2, 2, 3, 3, 3, 3]  # each shape once computed and once recorded
