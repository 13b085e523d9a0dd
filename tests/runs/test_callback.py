"""The callback under Lightning equals a loop by hand, whatever Lightning does to the loss on the way."""

from collections.abc import Sequence
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from repro.errors import UserError
from repro.rules.callback import LearningRuleCallback
from tasks.pattern_generation.data import Trial
from tests.runs.small import (
    RULES,
    Module,
    apart,
    by_hand,
    descend,
    fit,
    loader,
    mean,
    module_of,
    small,
    together,
    trainer_of,
    trial,
    weights,
)

EQUAL = 1e-12
DIFFERENT = 1e-5


def delivered(config: Any, batch: Trial, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """What one training step leaves in `.grad`."""
    module, callback = module_of(config), LearningRuleCallback(config)
    trainer_of(callback).strategy.connect(module)
    callback.setup(trainer_of(callback), module, "fit")
    (scale * module.training_step(batch, 0)["loss"]).backward()
    return {name: parameter.grad for name, parameter in module.network.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("rule", RULES)
def test_the_loss_delivers_the_gradients_of_the_rule(rule: str) -> None:
    config, batch = small(**RULES[rule]), together([trial(0), trial(1)])
    wanted, found = by_hand(module_of(config), batch), delivered(config, batch)
    assert apart(found, wanted) < EQUAL
    assert apart(delivered(config, batch, scale=3.0), {name: 3 * g for name, g in wanted.items()}) < EQUAL
    for name, gradient in wanted.items():  # control: each parameter's gradient would be missed
        assert gradient.abs().max() > DIFFERENT, name
    other = by_hand(module_of(small(**(RULES[rule] | {"rate_cost": 0.0}))), batch)
    assert apart(found, other) > DIFFERENT  # control: the rate term matters


def test_without_recurrence_there_are_no_recurrent_weights_to_learn() -> None:
    config = small(recurrent=False)
    assert apart(delivered(config, trial(0)), by_hand(module_of(config), trial(0))) < EQUAL
    assert "w_rec" not in delivered(config, trial(0))


def clipped(config: Any, batches: Sequence[Trial], limit: float) -> Module:
    """Gradient descent by hand, the gradients' norm held below `limit`."""
    module = module_of(config)
    for batch in batches:
        gradients = by_hand(module, batch)
        norm = torch.sqrt(sum((g.square().sum() for g in gradients.values()), torch.zeros(())))
        descend(module, gradients, min(1.0, limit / (float(norm) + 1e-6)))
    return module


@pytest.mark.parametrize("rule", ["eprop", "bptt"])
def test_gradient_clipping(rule: str) -> None:
    config, batches = small(**RULES[rule]), [trial(i) for i in range(4)]
    found = fit(config, batches, gradient_clip_val=0.3)
    assert apart(found, clipped(config, batches, 0.3)) < EQUAL
    assert apart(found, clipped(config, batches, 1e9)) > DIFFERENT  # control: the limit was met


def accumulated(config: Any, trials: Sequence[Trial], size: int, per_micro_batch: bool = False) -> Module:
    """Descent by hand in groups of `size` trials; an incomplete group counts as Lightning counts it, divided by `size`.

    `per_micro_batch` is the mistake: a rate term for each trial, not for the mean rate of the group.
    """
    module = module_of(config)
    for start in range(0, len(trials), size):
        group = trials[start : start + size]
        big = mean([by_hand(module, t) for t in group]) if per_micro_batch else by_hand(module, together(group))
        descend(module, big, len(group) / size)
    return module


@pytest.mark.parametrize("count", [9, 8], ids=["whole groups", "last group incomplete"])
@pytest.mark.parametrize("rule", RULES)
def test_accumulation_is_one_batch_of_all_trials(rule: str, count: int) -> None:
    config, trials = small(**RULES[rule]), [trial(i) for i in range(count)]
    found = fit(config, trials, accumulate_grad_batches=3)
    assert apart(found, accumulated(config, trials, 3)) < EQUAL
    assert apart(found, accumulated(config, trials, 3, per_micro_batch=True)) > DIFFERENT  # control


def test_accumulation_over_several_epochs_and_a_changing_number_of_micro_batches() -> None:
    config, trials = small(), [trial(i) for i in range(5)]
    scheduler = pl.callbacks.GradientAccumulationScheduler({0: 2, 1: 4})
    module = module_of(config)
    for size in (2, 4):
        for start in range(0, 5, size):
            group = trials[start : start + size]
            descend(module, by_hand(module, together(group)), len(group) / size)
    found = module_of(config)
    trainer = trainer_of(LearningRuleCallback(config), scheduler, max_epochs=2)
    trainer.fit(found, loader(trials))
    assert apart(found, module) < EQUAL
    assert apart(found, fit(config, trials, max_epochs=2)) > DIFFERENT  # control


def test_the_online_evaluator_cannot_accumulate_and_says_so() -> None:
    with pytest.raises(UserError, match="accumulate with evaluator=factored"):
        fit(small(evaluator="online"), [trial(0)] * 2, accumulate_grad_batches=2)


@pytest.mark.parametrize("variant", [{}, {"feedback_window_ms": 20}, {"feedback": "global"}, {"recurrent": False}])
def test_the_online_evaluator_trains_to_the_same_weights(variant: dict[str, Any]) -> None:
    trials = [trial(i, torch.float32) for i in range(4)]
    factored = fit(small(**variant), trials, torch.float32)
    online = fit(small(**variant, evaluator="online"), trials, torch.float32)
    assert apart(online, factored) < 1e-5
    assert apart(online, module_of(small(**variant), torch.float32)) > 1e-3  # control: training moved them


def test_without_a_callback_the_module_trains_by_bptt() -> None:
    config, trials = small(algorithm="bptt"), [together([trial(i), trial(i + 1)]) for i in range(4)]
    plain = fit(config, trials, rule=False)
    assert apart(plain, fit(config, trials)) < EQUAL
    assert apart(plain, fit(small(), trials)) > DIFFERENT  # control: e-prop is another gradient


def test_a_module_is_free_again_for_another_trainer() -> None:
    config, batches = small(), [trial(0)]
    module, again = fit(config, batches), fit(small(algorithm="bptt"), batches)
    start = weights(module_of(config))
    for used, other in ((module, small(algorithm="bptt")), (again, config)):
        used.load_state_dict(start, strict=False)
        trainer_of(LearningRuleCallback(other)).fit(used, loader(batches))
        assert apart(used, fit(other, batches)) < EQUAL
    again.load_state_dict(start, strict=False)
    trainer_of().fit(again, loader(batches))
    assert apart(again, fit(config, batches, rule=False)) < EQUAL
    assert apart(again, fit(config, batches)) > DIFFERENT  # control: no longer by e-prop


def test_two_rules_on_one_module_are_refused() -> None:
    callbacks = LearningRuleCallback(small()), LearningRuleCallback(small(algorithm="bptt"))
    for pair in (callbacks, callbacks[:1] * 2):
        with pytest.raises(UserError, match="give the Trainer one LearningRuleCallback"):
            trainer_of(*pair).fit(module_of(small()), loader([trial(0)]))
