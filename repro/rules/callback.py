"""The learning rule as a Lightning callback: the only door between the rules and Lightning.

module.training_step -> callback.loss -> simulate without a tape -> readout on a tape -> error
    -> learning signal -> the rule's gradients -> attached to the loss -> Lightning's own backward
"""

from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.errors import RunFailed, UserError
from repro.kernels.events import SpikeTrains
from repro.network import RecurrentNetwork
from repro.neurons.neuron import Trajectory
from repro.rules.attach import attach
from repro.rules.online import online_eprop
from repro.rules.rate import RateTerm
from repro.rules.rule import Gradients, LearningRule, build_rule
from repro.rules.settings import RuleSettings


class Outcome(NamedTuple):
    """One training step: the loss with gradients attached, and what to record.

    `readout` [batch, time, readout]; `spikes` [batch, time, some or all neurons]; `rates_hz` [neuron].
    """

    loss: Tensor
    readout: Tensor
    spikes: Tensor
    rates_hz: Tensor


class LearningRuleCallback(pl.Callback):
    """Replaces the backward pass of a module that has `network`, `objective(readout, batch, first_step)` and
    `generator(purpose)` by a learning rule.

    With gradient accumulation the rate term, whose mean rate spans all trials of an update, is attached in the last
    micro-batch for all of them. Lightning divides by the number of micro-batches that an update should have; a last
    group that is incomplete therefore gives the update of one batch of its trials, scaled down.
    """

    def __init__(self, settings: RuleSettings, dt_ms: float = 1.0) -> None:
        self.settings = settings
        self.rule: LearningRule = build_rule(settings, dt_ms)
        self.rate = RateTerm(settings.rate_loss, settings.rate_cost, settings.target_rate_hz, dt_ms)
        self._held: list[tuple[Tensor, Trajectory]] = []
        self._trainer: pl.Trainer | None = None

    @property
    def identity(self) -> str:
        """What must be the same when a run is resumed."""
        return f"{self.rule!r} {self.rate!r} {self.settings.evaluator}"

    def setup(self, trainer: Any, pl_module: pl.LightningModule, stage: str) -> None:
        """Claim the module and draw its feedback weights. Raises UserError if the Trainer holds two rules."""
        if sum(isinstance(callback, LearningRuleCallback) for callback in trainer.callbacks) > 1:
            raise UserError("two learning rules on one module: give the Trainer one LearningRuleCallback")
        module: Any = pl_module
        module.learning_rule, self._trainer, self._held = self, trainer, []
        network: RecurrentNetwork = module.network
        drawn = self.rule.signal.draw(module.steps, network.n_rec, network.w_out.shape[0], module.generator("feedback"))
        module.register_buffer("feedback_weights", drawn.to(network.w_out.device, network.w_out.dtype))

    def loss(self, module: Any, batch: Any, batch_idx: int) -> Outcome:
        """The loss of a batch with the rule's gradients attached; in full precision, autocast or not."""
        with torch.autocast(batch.inputs.device.type, enabled=False):
            if self.settings.evaluator == "online":
                return self._online(module, batch)
            return self._factored(module, batch, batch_idx)

    def _factored(self, module: Any, batch: Any, batch_idx: int) -> Outcome:
        network: RecurrentNetwork = module.network
        state, keep = module.state_before(), self.rule.reads_variables
        trajectory, after = network.simulate(batch.inputs, state, keep)
        module.state_after(after)
        if not torch.isfinite(after.own[0]).all():  # NaN stays in a voltage, but silences the neuron: no loss sees it
            raise RunFailed("membrane voltages are no longer finite: try a lower learning_rate")
        readout = network.read_out(trajectory.sent)
        task_loss = module.objective(readout, batch)
        (error,) = torch.autograd.grad(task_loss, readout, retain_graph=True)
        signal = self.rule.signal(error, module.feedback_weights, network.w_out, network.readout)
        rates = _mean_over_processes(self.rate.rates_hz(trajectory.sent).to(trajectory.h.dtype))
        micro_batches = self._trainer.accumulate_grad_batches if self._trainer else 1
        if micro_batches == 1:
            if self.rate.cost:
                signal = signal + self.rate.signal(rates, trajectory.z.shape[0] * trajectory.z.shape[1])
            gradients = self.rule.gradients(network, batch.inputs, trajectory, signal)
        else:
            gradients = self.rule.gradients(network, batch.inputs, trajectory, signal)
            self._held.append((batch.inputs, trajectory))
            if self._last_micro_batch(batch_idx, micro_batches):
                _add(gradients, *self._rate_gradients(network))
        loss = attach(task_loss + self.rate.loss(rates), network, gradients)
        return Outcome(loss, readout.detach(), trajectory.z, rates)

    def _online(self, module: Any, batch: Any) -> Outcome:
        network: RecurrentNetwork = module.network
        if self._trainer and self._trainer.accumulate_grad_batches > 1:
            raise UserError("evaluator=online keeps no trajectory: accumulate with evaluator=factored")

        def error_of(readout: Tensor, first_step: int) -> Tensor:
            with torch.enable_grad():
                leaf = readout.detach().requires_grad_()
                (error,) = torch.autograd.grad(module.objective(leaf, batch, first_step), leaf)
            return error

        found = online_eprop(
            network,
            batch.inputs.dense() if isinstance(batch.inputs, SpikeTrains) else batch.inputs,
            error_of,
            self.rule.signal,
            module.feedback_weights,
            self.rate,
            shared_rates=_mean_over_processes,
        )
        loss = module.objective(found.readout, batch) + self.rate.loss(found.rates_hz)
        return Outcome(attach(loss, network, found.gradients), found.readout, found.spikes, found.rates_hz)

    def _last_micro_batch(self, batch_idx: int, micro_batches: int) -> bool:
        return (batch_idx + 1) % micro_batches == 0 or bool(self._trainer and self._trainer.is_last_batch)

    def _rate_gradients(self, network: RecurrentNetwork) -> tuple[Gradients, int]:
        """Gradients of the rate term over all trials held since the last update (Eq. 54: the mean spans them all), and
        the number of micro-batches that they stand for."""
        held, self._held = self._held, []
        rates = _mean_over_processes(self.rate.rates_hz(torch.cat([trajectory.z for _, trajectory in held])))
        signal = self.rate.signal(rates, sum(t.z.shape[0] * t.z.shape[1] for _, t in held))
        total: Gradients = {}
        for inputs, trajectory in held:
            _add(total, self.rule.gradients(network, inputs, trajectory, signal.expand_as(trajectory.z)), 1)
        return total, len(held)


def _add(total: Gradients, more: Gradients, factor: float) -> None:
    for name, gradient in more.items():
        total[name] = total[name] + factor * gradient if name in total else factor * gradient


def _mean_over_processes(rates: Tensor) -> Tensor:
    """Mean rates over all trials of an update when several processes share it (DDP, equal batches)."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rates = rates.clone()
        torch.distributed.all_reduce(rates)
        rates /= torch.distributed.get_world_size()
    return rates
