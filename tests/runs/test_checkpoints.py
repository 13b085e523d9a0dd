"""Checkpoints of a plain Trainer: training resumes at the saved iteration."""

from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.callbacks import ModelCheckpoint

from repro.runs.loaders import IndexedLoader
from tests.runs.small import Module, fit, largest_difference, module_of, small, train, trial


def test_a_loader_begins_each_epoch_at_the_beginning_and_a_resumed_one_in_the_middle() -> None:
    indices = IndexedLoader(lambda index: index, 4)
    first = iter(indices)
    assert [next(first), next(first)] == [0, 1]
    state = indices.state_dict()
    assert list(indices) == [0, 1, 2, 3]
    indices.load_state_dict(state)
    assert indices.state_dict() == state
    assert [list(indices), list(indices)] == [[2, 3], [0, 1, 2, 3]]


def saved(folder: Path, config: Any, **options: Any) -> Module:
    """Train two epochs of four trials, keeping a checkpoint of every step; returns the end."""
    saver = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    options |= {"max_epochs": 2, "enable_checkpointing": True}
    return train(module_of(config), [trial(i) for i in range(4)], saver, **options)


@pytest.mark.parametrize("per_update", [1, 2])
def test_resumed_at_any_step_of_two_epochs_the_weights_are_bit_identical(tmp_path: Path, per_update: int) -> None:
    config = small()
    end = saved(tmp_path, config, accumulate_grad_batches=per_update)
    checkpoints = sorted(tmp_path.glob("step=*.ckpt"))
    assert len(checkpoints) == 8 // per_update
    for path in checkpoints:
        options: dict[str, Any] = {"max_epochs": 2, "accumulate_grad_batches": per_update, "ckpt_path": path}
        assert largest_difference(fit(config, [trial(i) for i in range(4)], **options), end) == 0, path.name
    other = fit(config, [trial(i + 1) for i in range(4)], **(options | {"ckpt_path": checkpoints[0]}))
    assert largest_difference(other, end) > 1e-5  # control: other trials after the checkpoint
