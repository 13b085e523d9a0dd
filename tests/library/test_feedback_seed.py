"""Random feedback follows from a seed, which is no tensor: averages of weights keep it, and processes share it."""

import copy
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from repro.eprop import EProp, Feedback, Readout, UsageError
from tests.library.own import Own, e_prop, loader, module, together, trainer_of
from tests.library.pair import share_feedback
from tests.runs.pair import train_together

BATCHES = [together(range(4 * k, 4 * k + 4)) for k in range(2)]


def printed(seed: int) -> Tensor:
    return torch.randn(12, 3, generator=torch.Generator().manual_seed(seed)) / 12**0.5


@pytest.fixture
def double_by_default() -> Iterator[None]:
    """As in the hooks of Lightning's precision="64-true"."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def backward(readout: Readout) -> None:
    readout(torch.ones(1, 5, 12)).sum().backward()


def test_b_is_no_buffer_and_in_no_checkpoint() -> None:
    readout = Readout(12, 3, feedback="random")
    backward(readout)
    assert not list(readout.named_buffers())
    assert set(readout.state_dict()) == {"w_out", "_extra_state"}
    assert type(readout.state_dict()["_extra_state"]["seed"]) is int
    assert torch.equal(readout.feedback_weights(5)[0], printed(readout.feedback_seed))


def test_b_is_drawn_in_the_forward_pass_and_moves_with_the_weights() -> None:
    readout = Readout(12, 3, feedback="random")
    with torch.no_grad():
        readout(torch.ones(1, 5, 12))
    assert readout._drawn is None
    readout(torch.ones(1, 5, 12))
    assert readout._drawn is not None
    wanted = printed(readout.feedback_seed)
    assert torch.equal(readout.double().feedback_weights(5)[0], wanted.double())
    assert torch.equal(readout.float().feedback_weights(5)[0], wanted)
    readout.feedback = "symmetric"
    readout(torch.ones(1, 5, 12))
    assert readout._drawn is None  # control


@pytest.mark.usefixtures("double_by_default")
def test_b_does_not_depend_on_the_default_precision() -> None:
    readout, equal = Readout(12, 3, feedback="random"), Readout(12, 3, feedback="global")
    drawn = torch.Generator().manual_seed(readout.feedback_seed)
    single, wide = (torch.randn(12, 3, generator=drawn.clone_state(), dtype=d) for d in (torch.float32, torch.float64))
    assert torch.equal(readout.feedback_weights(5)[0], (single / 12**0.5).double())
    assert (single - wide).abs().max() > 0.1  # control: torch draws other numbers
    assert torch.equal(equal.feedback_weights(5)[0], torch.full((12, 3), 12**-0.5, dtype=torch.float32).double())


@pytest.mark.parametrize("feedback", ["random", Feedback("random", window_ms=2)])
def test_an_averaged_model_keeps_b(feedback: Any) -> None:
    readout = Readout(12, 3, feedback=feedback)
    averages = [
        AveragedModel(readout, use_buffers=True),
        AveragedModel(readout, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True),
    ]
    for _ in range(3):
        backward(readout)
        for average in averages:
            average.update_parameters(readout)
    for average in averages:
        assert average.module.feedback_seed == readout.feedback_seed
        found: Any = average.module
        assert torch.equal(found.feedback_weights(5), readout.feedback_weights(5))


@pytest.mark.parametrize("averaging", [WeightAveraging, EMAWeightAveraging])
@pytest.mark.parametrize("after_a_backward_pass", [False, True])
@pytest.mark.parametrize("averages_first", [False, True])
def test_averages_of_weights_in_lightning(
    averaging: Any, after_a_backward_pass: bool, averages_first: bool, tmp_path: Path
) -> None:
    trained = module()
    if after_a_backward_pass:
        trained.readout.feedback = "random"
        trained.readout(trained.hidden(BATCHES[0][0])).sum().backward()
    trainer = trainer_of(*([averaging(), e_prop()] if averages_first else [e_prop(), averaging()]), max_epochs=2)
    trainer.fit(trained, loader(BATCHES))
    trainer.save_checkpoint(tmp_path / "averaged.ckpt")
    loaded = Own.load_from_checkpoint(tmp_path / "averaged.ckpt")
    for found in (trained, loaded):
        assert found.readout.feedback_seed == 11
        assert torch.equal(found.readout.feedback_weights(1)[0].float(), printed(11))
        assert (found.hidden.rule, found.readout.feedback) == (EProp(), Feedback("random"))


def test_a_checkpoint_without_a_seed_is_refused() -> None:
    readout = Readout(12, 3)
    state = readout.state_dict()
    del state["_extra_state"]["seed"]
    with pytest.raises(UsageError, match="no seed of the feedback"):
        readout.load_state_dict(state)


def test_a_copy_has_the_same_seed_and_another_seed_another_b() -> None:
    readout = Readout(12, 3, feedback="random")
    twin = copy.deepcopy(readout)
    assert torch.equal(twin.feedback_weights(5), readout.feedback_weights(5))
    twin.seed_feedback(1)
    assert not torch.equal(twin.feedback_weights(5), readout.feedback_weights(5))


def test_processes_that_train_together_share_rank_0_s_seed(processes: ForkServerContext, tmp_path: Path) -> None:
    train_together(processes, share_feedback, tmp_path)
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert one["seed before"] != other["seed before"]
    assert one["seed"] == other["seed"] == one["seed before"]
    assert torch.equal(one["b"], other["b"])
    assert not torch.equal(one["b without"], other["b without"])  # control
    assert one["reseeded"] == other["reseeded"] == 100
