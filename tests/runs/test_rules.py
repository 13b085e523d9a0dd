"""From a config to the library's rule and feedback, and a task trained by them under Lightning."""

from typing import Any

import pytest
import torch

from repro.eprop import BPTT, EProp, Feedback, Frozen, Rule, Trace
from repro.errors import UserError
from repro.runs.rules import feedback_of, learning_rules, rule_of
from repro.runs.seeds import generator
from tests.runs.small import (
    RULES,
    by_hand,
    fit,
    largest_difference,
    module_of,
    small,
    together,
    train,
    trainer_of,
    trial,
)
from tests.runs.small import loader as loader_of

EQUAL, DIFFERENT = 1e-12, 1e-5
BATCHES = [together([trial(i), trial(i + 1)]) for i in range(4)]

MEANING: dict[str, tuple[dict[str, Any], Rule, Feedback]] = {
    "e-prop 1": ({}, EProp(), Feedback("random")),
    "bptt": ({"algorithm": "bptt"}, BPTT(), Feedback()),
    "readout only": ({"algorithm": "readout_only"}, Frozen(), Feedback()),
    "symmetric": ({"feedback": "symmetric"}, EProp(), Feedback()),
    "global": ({"feedback": "global"}, EProp(), Feedback("global")),
    "variance": ({"feedback_variance": "one"}, EProp(), Feedback("random", variance="one")),
    "resampled": ({"feedback_window_ms": 20}, EProp(), Feedback("random", 20)),
    "slice": (
        {"feedback_window_ms": 20, "feedback_time": "slice"},
        EProp(),
        Feedback("random", 20, time="slice"),
    ),
    "truncated": ({"trace": "truncated"}, EProp("truncated"), Feedback("random")),
    "clopath": (
        {
            **{"trace": "clopath", "clopath_thresholds": "swapped", "clopath_rectified": False},
            **{"clopath_falls_off": True},
        },
        EProp(Trace("clopath", "swapped", False, True)),
        Feedback("random"),
    ),
}


@pytest.mark.parametrize(("values", "rule", "feedback"), MEANING.values(), ids=MEANING)
def test_what_settings_mean(values: dict[str, Any], rule: Rule, feedback: Feedback) -> None:
    config = small(**values)
    assert (rule_of(config), feedback_of(config)) == (rule, feedback)
    (callback,) = learning_rules(config, 7)
    assert (callback.rule, callback.feedback) == (rule, feedback)
    assert callback.seed == generator(7, "feedback").initial_seed() != learning_rules(config, 8)[0].seed


def test_without_a_rule() -> None:
    assert learning_rules(small(algorithm="autograd"), 0) == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"algorithm": "bptt", "trace": "truncated"}, "algorithm=bptt has no eligibility trace"),
        ({"algorithm": "autograd", "evaluator": "online"}, "algorithm=autograd has no eligibility trace"),
        ({"evaluator": "online", "trace": "clopath"}, "for trace=clopath use factored"),
        ({"evaluator": "online", "feedback_time": "slice"}, "needs evaluator=factored"),
        ({"feedback": "global", "feedback_window_ms": 20}, "feedback=global has none"),
    ],
)
def test_settings_without_meaning_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        learning_rules(small(**values), 0)


@pytest.mark.parametrize("rule", RULES)
def test_a_task_under_lightning_is_its_layers_by_hand(rule: str) -> None:
    config = small(**RULES[rule])
    trained, wanted = fit(config, BATCHES), by_hand(config, BATCHES)
    assert largest_difference(trained, wanted) < EQUAL
    start = module_of(config)
    learned = {n for n, p in trained.named_parameters() if (p - start.get_parameter(n)).abs().max() > DIFFERENT}
    frozen = {"network.layer.w_in", "network.layer.w_rec"} if rule == "readout only" else set()
    assert learned == {name for name, _ in trained.named_parameters()} - frozen
    if not frozen:
        other = by_hand(small(**(RULES[rule] | {"rate_cost": 0.0})), BATCHES)
        assert largest_difference(trained, other) > DIFFERENT  # control: the rate term matters
    for name in RULES:  # control: no two rules train alike
        if name not in (rule, "no recurrence") and rule != "no recurrence":
            assert largest_difference(trained, by_hand(small(**RULES[name]), BATCHES)) > DIFFERENT, name


@pytest.mark.parametrize("variant", [{}, {"feedback_window_ms": 20}, {"feedback": "global"}, {"recurrent": False}])
def test_the_online_evaluator_trains_to_the_same_weights(variant: dict[str, Any]) -> None:
    factored, online = fit(small(**variant), BATCHES), fit(small(**variant, evaluator="online"), BATCHES)
    assert largest_difference(online, factored) < 1e-11
    assert largest_difference(online, module_of(small(**variant))) > 1e-3  # control: training moved them


def test_without_a_callback_the_module_trains_by_bptt() -> None:
    config = small(algorithm="bptt")
    plain = module_of(config)
    trainer_of().fit(plain, loader_of(BATCHES))
    assert largest_difference(plain, fit(config, BATCHES)) < EQUAL
    assert largest_difference(plain, train(module_of(small(algorithm="autograd")), BATCHES)) < EQUAL
    assert largest_difference(plain, fit(small(), BATCHES)) > DIFFERENT  # control: e-prop is another gradient


@pytest.mark.parametrize("rule", [*RULES, "online"])
def test_mixed_precision_trains_as_float32_does(rule: str) -> None:
    config = small(**RULES.get(rule, {"evaluator": "online"}))
    batches = [together([trial(i, torch.float32), trial(i + 1, torch.float32)]) for i in range(4)]
    full, mixed = (fit(config, batches, torch.float32, precision=p) for p in ("32-true", "bf16-mixed"))
    assert largest_difference(mixed, full) < 1e-6
    assert largest_difference(mixed, module_of(config, torch.float32)) > 1e-4  # control: they moved
