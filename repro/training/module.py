"""What the Lightning modules of all tasks share."""

import abc
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from repro.eprop.neurons.neuron import NeuronState
from repro.eprop.rules.rate import RateTerm
from repro.errors import UserError
from repro.rules.callback import LearningRuleCallback, Outcome
from repro.rules.synthetic import SyntheticGradient
from repro.rules.window_callback import WindowRuleCallback
from repro.training.seeds import generator

WATCHED = 20  # neurons whose spikes are kept for rasters; weights are random, so the first ones are a random choice
RULE_KEY, STATE_KEY = "eprop_repro_rule", "eprop_repro_state"


class TaskModule(pl.LightningModule):
    """A config, a seed, and what a run asks of any task's module while it trains and afterwards.

    A subclass has `summary(series, config)`, a run's final numbers, and a `training_step` that returns "loss" and
    "metrics", which hold at least "loss"; without metrics a step counts as a part of the iteration to come.
    """

    learning_rule: Any = None  # the callback that claimed the module

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        self.config, self.seed = config, seed

    def generator(self, purpose: str) -> torch.Generator:
        """The run's random numbers for one purpose."""
        return generator(self.seed, purpose)

    def snapshot(self, done: int, outputs: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """What to keep of iteration `done` (from 1) for the record; None for nothing."""
        return None

    def evaluate(self, done: int) -> dict[str, float]:
        """What is measured now and then, after iteration `done` (from 1): series of their own length."""
        return {}

    def is_solved(self, series: Mapping[str, list[float]]) -> bool:
        """Whether training may stop early, from the metrics of all iterations so far."""
        return False

    def analysis(self, data: Any, snapshots: Mapping[int, Mapping[str, Tensor]]) -> tuple[dict[str, float], Any]:
        """More metrics, and arrays for the figures, after the last iteration."""
        return {}, {}

    def setup(self, stage: str) -> None:
        """Forget a rule that another Trainer brought."""
        trainer: Any = self.trainer
        if self.learning_rule not in trainer.callbacks:
            self.learning_rule = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the rule, so that training cannot go on under another."""
        checkpoint[RULE_KEY] = self._rule_name()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises UserError when training would go on under another rule than the checkpoint's."""
        found, wanted = checkpoint.get(RULE_KEY, "an unknown rule"), self._rule_name()
        if self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING and found != wanted:
            raise UserError(
                f"the checkpoint was trained by {found}, this run by {wanted}: "
                "resume it under its own rule, or train from the start"
            )

    def _rule_name(self) -> str:
        return str(self.learning_rule.identity) if self.learning_rule else "plain BPTT"

    def configure_optimizers(self) -> Any:
        """Adam with default moments, its learning rate multiplied by a factor after so many iterations: each time, or
        once where the config says `decay="once"`."""
        c = self.config
        optimizer = torch.optim.Adam(self.parameters(), lr=c.learning_rate, fused=True)
        schedule: Any = torch.optim.lr_scheduler.StepLR(optimizer, c.decay_every, c.decay_factor)
        if getattr(c, "decay", "every") == "once":
            schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [c.decay_every], c.decay_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class WindowedModule(TaskModule):
    """Learns in windows, by a WindowRuleCallback, which also brings the `predictor`, if its rule has one."""

    learning_rule: WindowRuleCallback | None = None

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__(config, seed)
        self.predictor: SyntheticGradient | None = None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For an optimizer: "network" is all but the "synthetic gradients", a group of their own if there are any."""
        apart = [] if self.predictor is None else list(self.predictor.parameters())
        own = {id(p) for p in apart}
        groups = [{"params": [p for p in self.parameters() if id(p) not in own], "name": "network"}]
        return [*groups, {"params": apart, "name": "synthetic gradients"}] if apart else groups


class SpikingModule(TaskModule, abc.ABC):
    """A recurrent network, an objective, and a learning rule if a LearningRuleCallback claims the module.

    Without one it trains by plain BPTT on autograd's tape. Subclasses build `network` and define `objective` and
    `metrics`; a training step returns {"loss", "metrics", "readout", "spikes"}.
    """

    network: Any  # a RecurrentNetwork, or what has its `directions` and `join`
    carries_state: bool = False  # whether a batch begins in the state in which the last one ended
    learning_rule: LearningRuleCallback | None = None

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__(config, seed)
        self._state: NeuronState | None = None
        self.rate = RateTerm(config.rate_loss, config.rate_cost, config.target_rate_hz, config.dt_ms)

    @property
    def steps(self) -> int:
        """Time steps of a trial."""
        return round(self.config.trial_ms / self.config.dt_ms)

    @abc.abstractmethod
    def objective(self, readout: Tensor, batch: Any, first_step: int = 0) -> Tensor:
        """The task's loss of `readout` [batch, steps, readout], which begins at `first_step` of the trial; losses of
        disjoint pieces of a trial add up to that of the whole."""

    @abc.abstractmethod
    def metrics(self, readout: Tensor, batch: Any) -> dict[str, Tensor]:
        """What the figures need of a trial, as scalars."""

    def state_before(self) -> NeuronState | None:
        """The state in which a batch begins; None for rest."""
        return self._state

    def state_after(self, state: NeuronState) -> None:
        """Keep the state in which a batch ended, if the task carries it on."""
        if self.carries_state:
            self._state = state

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The rule's name, and the state that the next batch begins in."""
        super().on_save_checkpoint(checkpoint)
        if self._state is not None:
            checkpoint[STATE_KEY] = [*self._state.variables, self._state.z, self._state.refractory]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `TaskModule.on_load_checkpoint`."""
        if STATE_KEY in checkpoint:
            *own, z, refractory = checkpoint[STATE_KEY]
            self._state = NeuronState(tuple(own), z, refractory)
        super().on_load_checkpoint(checkpoint)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """One trial (or batch of trials) and its loss."""
        rule = self.learning_rule
        outcome = rule.loss(self, batch, batch_idx) if rule else self._plain_bptt(batch)
        loss, readout, spikes, rates_hz = outcome
        metrics = {"loss": loss.detach(), "rate_hz": rates_hz.detach().mean()} | self.metrics(readout, batch)
        return {"loss": loss, "metrics": metrics, "readout": readout, "spikes": spikes[:, :, :WATCHED]}

    def _plain_bptt(self, batch: Any) -> Outcome:
        if self.carries_state:
            raise UserError("plain BPTT begins every batch at rest: give the Trainer a LearningRuleCallback")
        lengths = getattr(batch, "lengths", None)
        sent = [way.network.unroll(way.sees(batch.inputs, lengths))[0] for way in self.network.directions]
        readout = self.network.join(sent, lengths)
        rates = torch.cat([self.rate.rates_hz(z, lengths) for z in sent])
        loss = self.objective(readout, batch) + self.rate.loss(rates)
        return Outcome(loss, readout.detach(), sent[0].detach(), rates)
