"""What all contenders compute: iterations of task 1.1 from the same weights, with the same input and target."""

import dataclasses
import functools
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from repro.rules.callback import LearningRuleCallback
from repro.training.recorder import Recorder
from tasks.pattern_generation.config import TASK

# Symmetric feedback, so that e-prop by autograd gives our gradient; and the readings that `benchmarks.scan` has.
VARIANT = "e_prop_1_symmetric"
READINGS = {"readout_scale": "one_minus_kappa", "task_loss": "half_sum", "rate_loss": "population_hz"}


@dataclasses.dataclass(frozen=True)
class Problem:
    """Task 1.1 in some size; the paper's own by default."""

    n_rec: int = 600
    trial_ms: int = 1000
    settle: int = 30  # iterations first, in which the rate loss brings the network from 46 Hz near its 10 Hz

    def config(self, variant: str = VARIANT, evaluator: str = "factored") -> Any:
        """The task's config."""
        size = {"n_rec": str(self.n_rec), "trial_ms": str(self.trial_ms)}
        return TASK.resolve(variant, "paper", READINGS | size | {"evaluator": evaluator})

    def module(self, config: Any) -> Any:
        """The task's Lightning module, always with the same weights: those of a network that has settled."""
        module = TASK.load("module")(config, seed=0)
        module.network.load_state_dict(self._settled_weights)
        return module

    @functools.cached_property
    def trial(self) -> Any:
        """Its one batch: inputs [1, time, input] and target [1, time, readout]."""
        return TASK.load("data")(self.config(), seed=0).trial

    @functools.cached_property
    def _settled_weights(self) -> dict[str, Tensor]:
        config = self.config()
        module = TASK.load("module")(config, seed=0)
        rule, optimizer = claimed(module, config), module.configure_optimizers()["optimizer"]
        for _ in range(self.settle):
            loss = rule.loss(module, self.trial, 0).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        weights: dict[str, Tensor] = module.network.state_dict()
        return weights


def trainer(config: Any, iterations: int = 0) -> pl.Trainer:
    """A Trainer as `repro run` has it, but for checkpoints and W&B, which write files."""
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        max_steps=iterations,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[LearningRuleCallback(config, config.dt_ms), Recorder()],
    )


def claimed(module: Any, config: Any) -> LearningRuleCallback:
    """The learning rule of `config`, in charge of `module`."""
    holder: Any = trainer(config)
    rule: LearningRuleCallback = holder.callbacks[0]
    rule.setup(holder, module, "fit")
    return rule
