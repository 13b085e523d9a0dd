"""Tasks in which a spiking network learns from its readout's errors: the training step that they share."""

import abc
from typing import Any, NamedTuple

from torch import Tensor

from repro.eprop.layers.network import SpikingNetwork
from repro.eprop.layers.online import online_eprop
from repro.eprop.layers.recurrent import RecurrentLayer
from repro.eprop.rules.rate import RateTerm, firing_rates
from repro.runs.task_module import TaskModule

WATCHED = 20  # neurons whose spikes a step returns; weights are random, so the first ones are a random choice


class StepOutput(NamedTuple):
    """What one training step made of a batch: the `loss`, readouts [batch, time, readout], spikes of some or all
    neurons [batch, time, neuron], mean rates [neuron] in Hz."""

    loss: Tensor
    readout: Tensor
    spikes: Tensor
    rates_hz: Tensor


class SpikingModule(TaskModule, abc.ABC):
    """A `network` and a loss of its readouts, plus the rate term of the config (Eq. 54).

    Its layers learn by BPTT, or by the rule that an EPropCallback gives them. A batch has `inputs`, and `lengths`
    [batch] in steps if trials are padded. A subclass builds `network` and defines `loss_of` and `metrics`.
    """

    network: SpikingNetwork
    watched = WATCHED

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__(config, seed)
        c = self.config  # `config` is a mapping where it comes out of a checkpoint
        self.rate = RateTerm(c.rate_loss, c.rate_cost, c.target_rate_hz, c.dt_ms)

    @abc.abstractmethod
    def loss_of(self, readout: Tensor, batch: Any, first_step: int = 0) -> Tensor:
        """The task's loss of `readout` [batch, steps, readout], which begins at `first_step` of the trial; losses of
        disjoint pieces of a trial add up to that of the whole."""

    @abc.abstractmethod
    def metrics(self, readout: Tensor, batch: Any) -> dict[str, Tensor]:
        """What the figures need of a batch, as scalars whose means over processes are those of all trials."""

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """One batch of trials and its loss; returns also the readouts and the spikes of some neurons."""
        loss, readout, spikes, rates_hz = self.step(batch)
        metrics = {"loss": loss.detach(), "rate_hz": rates_hz.detach().mean()} | self.metrics(readout, batch)
        metrics = self.log_shared(metrics, len(readout))
        return {"loss": loss, "metrics": metrics, "readout": readout, "spikes": spikes[:, :, : self.watched]}

    def step(self, batch: Any) -> StepOutput:
        """A batch by the config's evaluator."""
        return self._online(batch) if self.config.evaluator == "online" else self._factored(batch)

    def _factored(self, batch: Any) -> StepOutput:
        lengths = getattr(batch, "lengths", None)
        readout, z = self.simulate(batch)
        rates_hz = firing_rates(z, lengths, self.config.dt_ms)
        loss = self.loss_of(readout, batch)
        if self.rate.cost:
            loss = loss + self.rate.loss(rates_hz)
        first = z if isinstance(z, Tensor) else z[0]
        return StepOutput(loss, readout.detach(), first.detach(), rates_hz)

    def simulate(self, batch: Any) -> tuple[Tensor, Any]:
        """Readouts and spikes of a batch, both differentiable (see `SpikingNetwork`)."""
        readout, z = self.network(batch.inputs, lengths=getattr(batch, "lengths", None))
        return readout, z

    def _online(self, batch: Any) -> StepOutput:
        layer = self.network.layer
        assert isinstance(layer, RecurrentLayer)
        rate = self.rate if self.rate.cost else None

        def loss_at(y: Tensor, first_step: int) -> Tensor:
            return self.loss_of(y, batch, first_step)

        result = online_eprop(layer, self.network.readout, batch.inputs, loss_at, rate, watch=self.watched)
        return StepOutput(result.loss, result.y, result.watched, result.rates_hz)

    def configure_optimizers(self) -> Any:
        """See `TaskModule.adam_with_decay`."""
        return self.adam_with_decay()
