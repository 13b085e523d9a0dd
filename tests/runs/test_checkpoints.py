"""Checkpoints of a plain Trainer: training goes on where it was, under the same rule or not at all."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from repro.errors import UserError
from repro.rules.callback import LearningRuleCallback
from repro.runs.loaders import IndexedLoader
from tests.runs.small import Module, apart, fit, loader, module_of, small, trainer_of, trial


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
    module = module_of(config)
    rule = [LearningRuleCallback(config)] if options.pop("rule", True) else []
    trainer = trainer_of(*rule, saver, max_epochs=2, enable_checkpointing=True, **options)
    trainer.fit(module, loader([trial(i) for i in range(4)]))
    return module


@pytest.mark.parametrize("per_update", [1, 2])
def test_resumed_at_any_step_of_two_epochs_the_weights_are_bit_identical(tmp_path: Path, per_update: int) -> None:
    config = small()
    end = saved(tmp_path, config, accumulate_grad_batches=per_update)
    checkpoints = sorted(tmp_path.glob("step=*.ckpt"))
    assert len(checkpoints) == 8 // per_update
    for path in checkpoints:
        options = {"max_epochs": 2, "accumulate_grad_batches": per_update, "ckpt_path": path}
        assert apart(fit(config, [trial(i) for i in range(4)], **options), end) == 0, path.name
    other = fit(config, [trial(i + 1) for i in range(4)], **(options | {"ckpt_path": checkpoints[0]}))
    assert apart(other, end) > 1e-5  # control: other trials after the checkpoint


OTHERS = {
    "another algorithm": {"algorithm": "bptt"},
    "another feedback": {"feedback": "symmetric"},
    "another rate term": {"rate_cost": 1.0},
    "another evaluator": {"evaluator": "online"},
    "no rule": None,
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_rule_is_refused(tmp_path: Path, other: dict[str, Any] | None) -> None:
    saved(tmp_path, small())
    config = small(**(other or {}))
    with pytest.raises(
        UserError, match=r"the checkpoint was trained by .* this run by .*: resume it under its own rule"
    ):
        fit(config, [trial(0)], rule=other is not None, max_epochs=3, ckpt_path=tmp_path / "step=4.ckpt")


def test_a_checkpoint_without_a_rule_is_refused_by_one(tmp_path: Path) -> None:
    saved(tmp_path, small(), rule=False)
    with pytest.raises(UserError, match="trained by plain BPTT, this run by"):
        fit(small(), [trial(0)], max_epochs=3, ckpt_path=tmp_path / "step=4.ckpt")
    fit(small(), [trial(0)], rule=False, max_epochs=3, ckpt_path=tmp_path / "step=4.ckpt")  # control


def test_trained_weights_load_for_a_look_without_a_rule(tmp_path: Path) -> None:
    end = saved(tmp_path, small())
    loaded = Module.load_from_checkpoint(
        tmp_path / "step=8.ckpt", config=small(), seed=3, strict=False, weights_only=True
    )
    assert apart(loaded.double(), end) < 1e-6  # built in float32
    assert apart(loaded, module_of(small(), torch.float64)) > 1e-5  # control
