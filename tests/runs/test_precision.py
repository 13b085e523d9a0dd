"""Short floating-point formats: the kernels widen what they get, and training goes on."""

import pytest
import torch

from tasks.pattern_generation.config import PatternGenerationConfig
from tests.runs.small import RULES, Module, apart, fit, module_of, small, together, trial, weights

BATCHES = [together([trial(i, torch.float32), trial(i + 1, torch.float32)]) for i in range(4)]
ALL = RULES | {
    "symmetric": {"feedback": "symmetric"},
    "online": {"evaluator": "online"},
    "online symmetric": {"evaluator": "online", "feedback": "symmetric"},
    "by slice": {"feedback_window_ms": 20, "feedback_time": "slice"},
}


def moved(module: Module, config: PatternGenerationConfig) -> torch.Tensor:
    """All that training changed, as one vector."""
    start = weights(module_of(config, torch.float32))
    return torch.cat([(w.float() - start[name]).flatten() for name, w in weights(module).items()])


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


@pytest.mark.parametrize("rule", ALL)
def test_mixed_precision_trains_as_float32_does(rule: str) -> None:
    config = small(**ALL[rule])
    full, mixed = (fit(config, BATCHES, torch.float32, precision=p) for p in ("32-true", "bf16-mixed"))
    assert cosine(moved(mixed, config), moved(full, config)) > 0.99
    assert {w.dtype for w in weights(mixed).values()} == {torch.float32}
    other = fit(config, BATCHES[2:], torch.float32)
    assert cosine(moved(other, config), moved(full, config)) < 0.99  # control: other trials


@pytest.mark.parametrize("rule", ALL)
def test_weights_in_bfloat16_train_without_error(rule: str) -> None:
    config = small(**ALL[rule])
    module = fit(config, BATCHES, torch.float32, precision="bf16-true")
    assert {w.dtype for w in weights(module).values()} == {torch.bfloat16}
    assert all(torch.isfinite(w).all() for w in weights(module).values())
    start = module_of(config, torch.bfloat16)
    assert apart(module, start) > 1e-4  # control: they moved


def test_plain_bptt_in_mixed_precision() -> None:
    module = fit(small(), BATCHES, torch.float32, rule=False, precision="bf16-mixed")
    assert all(torch.isfinite(w).all() for w in weights(module).values())
    assert moved(module, small()).abs().max() > 1e-4  # control
