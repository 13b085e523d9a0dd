"""A small network that is alive, trials of its own, and training by hand: what Lightning must reproduce."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.eprop.rules.rate import RateTerm
from repro.rules.callback import LearningRuleCallback
from repro.rules.rule import Gradients, build_rule
from repro.runs.loaders import IndexedLoader
from repro.runs.seeds import generator
from tasks.pattern_generation.config import PatternGenerationConfig
from tasks.pattern_generation.data import Trial
from tasks.pattern_generation.module import PatternGenerationModule

warnings.filterwarnings("ignore", module="pytorch_lightning")
LEARNING_RATE = 0.003
RULES: dict[str, dict[str, Any]] = {
    "eprop": {"algorithm": "eprop"},
    "bptt": {"algorithm": "bptt"},
    "resampled": {"feedback_window_ms": 20},
    "clopath": {"trace": "clopath"},
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


def trial(index: int, dtype: torch.dtype = torch.float64) -> Trial:
    """Trial number `index`: random input spikes, more of them in later trials, and random targets."""
    random = generator(11, "trial", index)
    inputs = torch.rand(1, 60, 5, generator=random) < 0.1 + 0.03 * index
    return Trial(inputs.to(dtype), torch.randn(1, 60, 2, generator=random).to(dtype))


def together(trials: Sequence[Trial]) -> Trial:
    """One batch of several trials."""
    return Trial(*(torch.cat(parts) for parts in zip(*trials, strict=True)))


class Module(PatternGenerationModule):
    """Plain gradient descent: unlike Adam, it shows a gradient that is off by a factor."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)


def module_of(config: PatternGenerationConfig, dtype: torch.dtype = torch.float64) -> Module:
    """The module that every test of a config starts from."""
    return Module(config, seed=3).to(dtype)


def trainer_of(*callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    """A silent Trainer on the CPU."""
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    }
    return pl.Trainer(callbacks=list(callbacks), **(defaults | options))


def loader(batches: Sequence[Trial]) -> IndexedLoader:
    """The loader that runs use."""
    return IndexedLoader(batches.__getitem__, len(batches))


def fit(
    config: PatternGenerationConfig,
    batches: Sequence[Trial],
    dtype: torch.dtype = torch.float64,
    rule: bool = True,
    ckpt_path: Path | None = None,
    **options: Any,
) -> Module:
    """Train by Lightning, one batch after the other; `rule=False` leaves the callback out."""
    module = module_of(config, dtype)
    trainer = trainer_of(*([LearningRuleCallback(config)] if rule else []), **options)
    trainer.fit(module, loader(batches), ckpt_path=ckpt_path, weights_only=True)
    return module


def by_hand(module: Module, batch: Trial) -> Gradients:
    """The gradients of a batch without callback or Lightning, its rate term over all its trials."""
    config, network = module.config, module.network
    rule = build_rule(config)
    trajectory, _ = network.simulate(batch.inputs)
    assert 0.01 < trajectory.z.mean() < 0.3, "the network is not alive"
    readout = network.read_out(trajectory.z)
    loss = module.objective(readout, batch)
    error, w_out = torch.autograd.grad(loss, [readout, network.w_out])
    feedback = rule.signal.draw(module.steps, network.n_rec, config.n_out, module.generator("feedback")).to(error.dtype)
    rate = RateTerm(config.rate_loss, config.rate_cost, config.target_rate_hz)
    signal = rule.signal(error, feedback, network.w_out, network.readout)
    signal = signal + rate.signal(rate.rates_hz(trajectory.z), trajectory.z.shape[0] * trajectory.z.shape[1])
    return rule.gradients(network, batch.inputs, trajectory, signal) | {"w_out": w_out}


def mean(found: Sequence[Gradients]) -> Gradients:
    """The mean of several gradients."""
    return {name: torch.stack([gradients[name] for gradients in found]).mean(dim=0) for name in found[0]}


@torch.no_grad()
def descend(module: Module, gradients: Gradients, factor: float = 1.0) -> None:
    """One step of gradient descent by hand."""
    for name, gradient in gradients.items():
        module.network.get_parameter(name).sub_(LEARNING_RATE * factor * gradient)


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters, by name."""
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def apart(one: torch.nn.Module | dict[str, Tensor], other: torch.nn.Module | dict[str, Tensor]) -> float:
    """The largest difference of two modules' weights."""
    a, b = (weights(x) if isinstance(x, torch.nn.Module) else x for x in (one, other))
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)
