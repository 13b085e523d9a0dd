"""What all contenders compute: iterations of a task from the same weights, with the same batch."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from benchmarks import batches
from repro.eprop.kernels.events import Held, SpikeTrains
from repro.runs.recorder import Recorder
from repro.runs.rule_settings import RuleSettings
from repro.runs.rules import learning_rules
from repro.runs.task import Task
from tasks import get_task
from tasks.arm_reaching.config import LEARNS_EARLY
from tasks.word_prediction import clipping

Step = Callable[[], None]

# Symmetric feedback, so that e-prop by autograd gives our gradient; and the readings that `benchmarks.scan` has. Those
# of speech and of the arm are the paper's own, but Adam's steps have no length: firing rates would fall in the first
# iterations, of speech to a quarter, and contenders that have done more or fewer of them would be timed at different
# work.
VARIANT = "e_prop_1_symmetric"
ONE_SHOT = "e_prop_2_spiking"
READINGS = {
    "pattern_generation": {"readout_scale": "one_minus_kappa", "task_loss": "half_sum", "rate_loss": "population_hz"},
    "store_recall": {
        "task_loss": "per_ms",
        "rate_loss": "population_hz",
        "states": "reset",
        "stop_when_solved": "false",
    },
    "speech": {"task_loss": "sum", "readout_every": "ms", "learning_rate": "0"},
    "arm_reaching": {"rate_trials": "both", "target_input": "analogue", "learning_rate": "0"},
}
# One-shot learning settles by the outer loss of `quick`, which holds the rates, at the paper's learning rate.
EARLY: dict[str, Any] = {name: value for name, value in LEARNS_EARLY.items() if name != "batch_size"}
SETTLING = 0.0015
SEED = 0
SETTLED: dict[tuple[Any, ...], dict[str, Tensor]] = {}  # problems of other trials share them
FRAMES = "frames"  # in the size of a problem: the length of its utterances, which is in no config


@dataclasses.dataclass(frozen=True)
class Problem:
    """A task in some size: `size` replaces values of its config, the paper's own.

    Weights that have a learning rate, and those of one-shot learning, settle in `settle` iterations. `trials` are those
    of the batch that count (all). `exact`: in float64, from the same weights.
    """

    task: str
    size: Mapping[str, int]
    settle: int = 30  # iterations first: in task 1.1 the rate loss brings the network from 46 Hz near its 10 Hz
    trials: tuple[int, ...] | None = None
    exact: bool = False

    @property
    def _task(self) -> Task:
        return get_task(self.task)

    @property
    def has_rule(self) -> bool:
        """Whether a learning rule trains it; what has none is one-shot learning, trained by plain BPTT."""
        return issubclass(self._task.config, RuleSettings)

    def config(self, variant: str = "", **readings: str) -> Any:
        """The task's config."""
        size = {name: str(value) for name, value in self.size.items() if name != FRAMES}
        default = VARIANT if self.has_rule else ONE_SHOT
        return self._task.resolve(variant or default, "paper", READINGS[self.task] | size | readings, data={})

    def module(self, config: Any) -> Any:
        """The task's Lightning module with the rule of the config, always with the same weights: those of a network
        that has settled."""
        module = self._task.load("module")(config, seed=SEED)
        module.load_state_dict(self._settled(getattr(config, "error_module", "")))
        return self.in_precision(claimed(module, config))

    def in_precision(self, made: Any) -> Any:
        """A module or a batch in float64 if the problem is exact."""
        if not self.exact:
            return made
        return made.double() if isinstance(made, torch.nn.Module) else batches.doubled(made)

    @functools.cached_property
    def trial(self) -> Any:
        """Its one batch, with inputs [batch, time, input]: an array, or in the form that the task has them."""
        chosen = self._whole_batch if self.trials is None else batches.pick(self._whole_batch, self.trials)
        return self.in_precision(chosen)

    @property
    def timed(self) -> list[Any]:
        """The batches of an iteration."""
        return [self.trial]

    @functools.cached_property
    def _whole_batch(self) -> Any:
        if FRAMES in self.size:
            return batches.noise(self.config(), self.size[FRAMES])
        return next(iter(self._task.load("data")(self.config(), seed=SEED).train_dataloader()))

    @functools.cached_property
    def dense_inputs(self) -> Tensor:
        """The inputs [batch, time, input] as an array, for contenders that need one; time comes first in memory."""
        inputs = self.trial.inputs
        dense: Tensor = self.in_precision(inputs.dense() if isinstance(inputs, SpikeTrains | Held) else inputs)
        return dense.transpose(0, 1).contiguous().transpose(0, 1)

    def target(self) -> Tensor:
        """What `benchmarks.scan.OBJECTIVES` compare the readout with, [batch, time, readout].

        For store-recall the weight of each class at each step in the mean cross entropy, zero outside RECALL.
        """
        if self.task == "pattern_generation":
            pattern: Tensor = self.trial.target
            return pattern
        target = self.trial.schedule.target
        wanted = torch.nn.functional.one_hot(target.clamp(min=0), 2) * (target >= 0)[..., None]
        by_step = wanted.repeat_interleave(self.config().trial_ms // target.shape[1], dim=1)
        by_step = self.in_precision(by_step.float())
        return by_step / by_step.sum()

    def _settled(self, error_module: str) -> dict[str, Tensor]:
        """The weights after some iterations, in float32: those of a network, or of one and its error module."""
        known = (self.task, error_module, self.settle, *sorted(self.size.items()))
        if known not in SETTLED:
            SETTLED[known] = self._settled_network() if self.has_rule else self._settled_lessons(error_module)
        return SETTLED[known]

    def _settled_lessons(self, error_module: str) -> dict[str, Tensor]:
        config = dataclasses.replace(self.config(), error_module=error_module, learning_rate=SETTLING, **EARLY)
        module: Any = self._task.load("module")(config, seed=SEED)
        self._iterate(module, lambda: module.training_step(self._whole_batch, 0)["loss"])
        weights: dict[str, Tensor] = module.state_dict()
        return weights

    def _settled_network(self) -> dict[str, Tensor]:
        config = self.config()
        module = claimed(self._task.load("module")(config, seed=SEED), config)
        if config.learning_rate:
            self._iterate(module, lambda: module.step(self._whole_batch).loss)
        weights: dict[str, Tensor] = module.state_dict()
        return weights

    def _iterate(self, module: Any, loss_of: Callable[[], Tensor]) -> None:
        step = torch_step(module, loss_of)
        for _ in range(self.settle):
            step()


def optimizer_of(module: Any) -> torch.optim.Optimizer:
    """What updates a module's weights, with or without a schedule."""
    configured: Any = module.configure_optimizers()
    optimizer: torch.optim.Optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
    return optimizer


def torch_step(
    module: Any,
    loss_of: Callable[[], torch.Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    clip: float = 0,
) -> Step:
    """An iteration of a module by its own optimizer, or another; gradients are clipped at the norm `clip` (0: not)."""
    chosen, parameters = optimizer or optimizer_of(module), list(module.parameters())

    def step() -> None:
        loss = loss_of()
        chosen.zero_grad()
        loss.backward()
        if clip:
            clipping.clip(parameters, clip)
        chosen.step()

    return step


def trainer(config: Any) -> pl.Trainer:
    """A Trainer as `repro run` has it, but for checkpoints and W&B, which write files."""
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        max_steps=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[*learning_rules(config, SEED), Recorder()],
        gradient_clip_val=getattr(config, "clip_norm", 0) or None,
    )


def claimed(module: Any, config: Any) -> Any:
    """The module, whose layers have the rule and the feedback of `config` from now on."""
    for callback in learning_rules(config, SEED):
        callback.setup(trainer(config), module, "fit")
    return module
