"""The learning rule as a Lightning callback: the only door between the rules and Lightning.

module.training_step -> callback.loss -> simulate without a tape -> readout on a tape -> error
    -> learning signal -> the rule's gradients -> attached to the loss -> Lightning's own backward
"""

from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.eprop.kernels.events import Inputs
from repro.eprop.kernels.padding import real_steps
from repro.eprop.neurons.neuron import Trajectory
from repro.eprop.rules.rate import RateTerm
from repro.errors import RunFailed, UserError
from repro.network import Direction
from repro.rules.attach import attach
from repro.rules.online import online_eprop
from repro.rules.rule import Gradients, LearningRule, build_rule
from repro.rules.window_callback import WindowRuleCallback
from repro.runs.rule_settings import RuleSettings, WindowSettings


class Outcome(NamedTuple):
    """One training step: the loss with gradients attached, and what to record.

    `readout` [batch, time, readout]; `spikes` [batch, time, some or all neurons]; `rates_hz` [neuron].
    """

    loss: Tensor
    readout: Tensor
    spikes: Tensor
    rates_hz: Tensor


class Passage(NamedTuple):
    """What one direction of a network made of a batch: its `inputs` and trajectory in its own order of time, the
    `lengths` [batch] of the trials (None if all are as long), and which `rows` of the feedback weights are its own."""

    direction: Direction
    inputs: Inputs
    trajectory: Trajectory
    lengths: Tensor | None
    rows: slice

    @property
    def steps(self) -> int:
        """Steps of all trials, padding apart."""
        batch, time, _ = self.trajectory.z.shape
        return batch * time if self.lengths is None else int(self.lengths.sum())

    def with_rate_term(self, signal: Tensor, rate_signal: Tensor) -> Tensor:
        """The learning signal [batch, time, neuron] and the rate term's [neuron of all directions], which padding does
        not hear."""
        own = rate_signal[self.rows]
        if self.lengths is None:
            return signal + own
        return signal.addcmul_(real_steps(self.lengths, signal.shape[1])[..., None].to(own.dtype), own)


def learning_rules(settings: Any) -> list[pl.Callback]:
    """The callback that a config's rule settings describe; none for a config without any, and for algorithm=autograd:
    that is training without one. Raises UserError for a combination that has no meaning."""
    if isinstance(settings, WindowSettings):
        return [WindowRuleCallback(settings)]
    if not isinstance(settings, RuleSettings):
        return []
    callback = LearningRuleCallback(settings, getattr(settings, "dt_ms", 1.0))
    return [] if settings.algorithm == "autograd" else [callback]


class LearningRuleCallback(pl.Callback):
    """Replaces the backward pass of a module that has `network`, `objective(readout, batch, first_step)` and
    `generator(purpose)` by a learning rule. A batch has `inputs`, and `lengths` [batch] in steps if trials are padded.

    With gradient accumulation the rate term, whose mean rate spans all trials of an update, is attached in the last
    micro-batch for all of them. Lightning divides by the number of micro-batches that an update should have; a last
    group that is incomplete therefore gives the update of one batch of its trials, scaled down.
    """

    def __init__(self, settings: RuleSettings, dt_ms: float = 1.0) -> None:
        self.settings = settings
        self.rule: LearningRule = build_rule(settings, dt_ms)
        self.rate = RateTerm(settings.rate_loss, settings.rate_cost, settings.target_rate_hz, dt_ms)
        self._held: list[list[Passage]] = []
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
        network, like = module.network, module.network.directions[0].network.w_out
        drawn = self.rule.signal.draw(module.steps, network.n_rec, network.n_out, module.generator("feedback"))
        module.register_buffer("feedback_weights", drawn.to(like.device, like.dtype))

    def loss(self, module: Any, batch: Any, batch_idx: int) -> Outcome:
        """The loss of a batch with the rule's gradients attached; in full precision, autocast or not."""
        with torch.autocast(batch.inputs.device.type, enabled=False):
            if self.settings.evaluator == "online":
                return self._online(module, batch)
            return self._factored(module, batch, batch_idx)

    def _factored(self, module: Any, batch: Any, batch_idx: int) -> Outcome:
        passages = self._simulate(module, batch)
        readout = module.network.join([p.trajectory.spikes for p in passages], passages[0].lengths)
        task_loss = module.objective(readout, batch)
        (error,) = torch.autograd.grad(task_loss, readout, retain_graph=True)
        z = passages[0].trajectory.z
        rates = torch.cat([self.rate.rates_hz(p.trajectory.spikes, p.lengths) for p in passages])
        rates = _mean_over_processes(rates.to(z.dtype))
        micro_batches = self._trainer.accumulate_grad_batches if self._trainer else 1
        gradients: Gradients = {}
        if self.rule.plastic:
            rate_signal = self.rate.signal(rates, passages[0].steps) if micro_batches == 1 and self.rate.cost else None
            for p in passages:
                _add(gradients, self._gradients(p, self._signal(p, module, error), rate_signal), 1)
            if micro_batches > 1:
                self._held.append(passages)
                if self._last_micro_batch(batch_idx, micro_batches):
                    _add(gradients, *self._rate_gradients())
        loss = attach(task_loss + self.rate.loss(rates), module.network, gradients)
        return Outcome(loss, readout.detach(), z, rates)

    def _simulate(self, module: Any, batch: Any) -> list[Passage]:
        passages: list[Passage] = []
        lengths, first_row = getattr(batch, "lengths", None), 0
        for direction in module.network.directions:
            network, inputs = direction.network, direction.sees(batch.inputs, lengths)
            trajectory, after = network.simulate(inputs, module.state_before(), self.rule.reads_variables)
            module.state_after(after)
            # NaN stays in a voltage, but silences the neuron: no loss sees it.
            if not torch.isfinite(after.variables[0]).all():
                raise RunFailed("membrane voltages are no longer finite: try a lower learning_rate")
            rows = slice(first_row, first_row := first_row + network.n_rec)
            passages.append(Passage(direction, inputs, trajectory, lengths, rows))
        return passages

    def _signal(self, passage: Passage, module: Any, error: Tensor) -> Tensor:
        """The learning signal [batch, time, neuron] that one direction hears of the readout's error."""
        network, lengths = passage.direction.network, passage.lengths
        if lengths is not None:
            lengths = lengths // network.readout.frame_steps
        weights = module.feedback_weights
        own = weights[:, passage.rows] if weights.numel() else weights
        return self.rule.signal(
            error, own, network.w_out, network.readout, lambda series: passage.direction.sees(series, lengths)
        )

    def _gradients(self, passage: Passage, signal: Tensor, rate_signal: Tensor | None) -> Gradients:
        """The gradients of one direction's weights, by their names in the whole network."""
        if rate_signal is not None:
            signal = passage.with_rate_term(signal, rate_signal)
        prefix, network, _ = passage.direction
        found = self.rule.gradients(network, passage.inputs, passage.trajectory, signal)
        return {prefix + name: gradient for name, gradient in found.items()}

    def _online(self, module: Any, batch: Any) -> Outcome:
        network = module.network
        if self._trainer and self._trainer.accumulate_grad_batches > 1:
            raise UserError("evaluator=online keeps no trajectory: accumulate with evaluator=factored")

        def error_of(readout: Tensor, first_step: int) -> Tensor:
            with torch.enable_grad():
                leaf = readout.detach().requires_grad_()
                (error,) = torch.autograd.grad(module.objective(leaf, batch, first_step), leaf)
            return error

        found = online_eprop(
            network,
            batch.inputs if isinstance(batch.inputs, Tensor) else batch.inputs.dense(),
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

    def _rate_gradients(self) -> tuple[Gradients, int]:
        """Gradients of the rate term over all trials held since the last update (Eq. 54: the mean spans them all), and
        the number of micro-batches that they stand for."""
        held, self._held = self._held, []
        steps = [passages[0].steps for passages in held]
        rates = [
            torch.cat([self.rate.rates_hz(p.trajectory.spikes, p.lengths) for p in passages]) * share
            for passages, share in zip(held, steps, strict=True)
        ]
        like = held[0][0].trajectory.z
        mean = _mean_over_processes((torch.stack(rates).sum(dim=0) / sum(steps)).to(like.dtype))
        signal, total = self.rate.signal(mean, sum(steps)), Gradients()
        for p in (p for passages in held for p in passages):
            _add(total, self._gradients(p, torch.zeros_like(p.trajectory.z), signal), 1)
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
