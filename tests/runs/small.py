"""A small network that is alive, trials for it, and training by hand: what Lightning must reproduce."""

import warnings
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.runs.loaders import IndexedLoader
from repro.runs.rules import feedback_of, learning_rules, rule_of
from repro.runs.seeds import generator
from repro.runs.task_module import TaskModule
from tasks.pattern_generation.config import PatternGenerationConfig
from tasks.pattern_generation.data import PatternTrial
from tasks.pattern_generation.module import PatternGenerationModule
from tests.library.own import trainer_of as trainer_of

warnings.filterwarnings("ignore", module="pytorch_lightning")

LEARNING_RATE = 0.003
RULES: dict[str, dict[str, Any]] = {
    "eprop": {"algorithm": "eprop"},
    "bptt": {"algorithm": "bptt"},
    "readout only": {"algorithm": "readout_only"},
    "resampled": {"feedback_window_ms": 20},
    "by slice": {"feedback_window_ms": 20, "feedback_time": "slice"},
    "clopath": {"trace": "clopath"},
    "no recurrence": {"recurrent": False},
    "population rate": {"rate_loss": "population_hz", "rate_cost": 0.01},
}


def small(**values: Any) -> PatternGenerationConfig:
    """Twelve neurons, 60 steps, a rate term as heavy as the task's loss."""
    defaults: dict[str, Any] = {
        "n_rec": 12,
        "n_in": 5,
        "n_out": 2,
        "trial_ms": 60,
        "rate_loss": "sum_khz",
        "rate_cost": 100.0,
    }
    return PatternGenerationConfig(**(defaults | values))


def trial(index: int, dtype: torch.dtype = torch.float64) -> PatternTrial:
    """Trial number `index`: random input spikes, more of them in later trials, and random targets."""
    random = generator(11, "trial", index)
    inputs = torch.rand(1, 60, 5, generator=random) < 0.1 + 0.03 * index
    return PatternTrial(inputs.to(dtype), torch.randn(1, 60, 2, generator=random).to(dtype))


def together(trials: Sequence[PatternTrial]) -> PatternTrial:
    """One batch of several trials."""
    return PatternTrial(*(torch.cat(parts) for parts in zip(*trials, strict=True)))


class Descends(TaskModule):
    """Plain gradient descent: unlike Adam, it shows a gradient that is off by a factor."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)


class Module(Descends, PatternGenerationModule):
    """Task 1.1 by gradient descent."""


def module_of(config: PatternGenerationConfig, dtype: torch.dtype = torch.float64) -> Module:
    """The module that every test of a config begins with."""
    return Module(config, seed=3).to(dtype)


def loader(batches: Sequence[Any]) -> IndexedLoader:
    """The loader that runs use."""
    return IndexedLoader(batches.__getitem__, len(batches))


def train(module: Any, batches: Sequence[Any], *callbacks: pl.Callback, **options: Any) -> Any:
    """Train a module by Lightning and the rule of its config, one batch after the other; returns it."""
    ckpt_path = options.pop("ckpt_path", None)
    trainer = trainer_of(*learning_rules(module.config, module.seed), *callbacks, **options)
    trainer.fit(module, loader(batches), ckpt_path=ckpt_path, weights_only=True)
    return module


def fit(
    config: PatternGenerationConfig, batches: Sequence[PatternTrial], dtype: torch.dtype = torch.float64, **options: Any
) -> Module:
    """The same of the small network."""
    trained: Module = train(module_of(config, dtype), batches, **options)
    return trained


def by_hand(config: PatternGenerationConfig, batches: Sequence[PatternTrial]) -> Module:
    """Gradient descent without callback, Lightning or the fused network: the layer, then its readout."""
    module = module_of(config)
    layer, readout, parameters = module.network.layer, module.network.readout, list(module.parameters())
    layer.rule, readout.feedback = rule_of(config), feedback_of(config)
    readout.seed_feedback(module.generator("feedback").initial_seed())
    for batch in batches:
        z = layer(batch.inputs)
        assert 0.01 < z.mean() < 0.3, "the network is not alive"
        loss = module.loss_of(readout(z), batch) + module.rate(z)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(0 if gradient is None else LEARNING_RATE * gradient)
    return module


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters, by name."""
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def largest_difference(one: torch.nn.Module | dict[str, Tensor], other: torch.nn.Module | dict[str, Tensor]) -> float:
    """Of two modules' weights."""
    a, b = (weights(x) if isinstance(x, torch.nn.Module) else x for x in (one, other))
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)
