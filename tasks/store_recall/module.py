"""The Lightning module of task 1.2."""

from typing import Any

import torch
from torch import Tensor

from repro.eprop import ALIF, Readout, RecurrentLayer, SpikingNetwork
from repro.eprop.neurons.neuron import NeuronState
from repro.errors import UserError
from repro.runs.sharing import process_of, shared_count
from repro.runs.spiking_module import SpikingModule
from tasks.store_recall.config import StoreRecallConfig
from tasks.store_recall.data import GROUPS, RecallTrial

STATE_KEY = "store_recall_state"


class StoreRecallModule(SpikingModule):
    """LIF and ALIF neurons, and two readouts that compete in each RECALL period."""

    config_type = StoreRecallConfig
    config: StoreRecallConfig

    def __init__(self, config: StoreRecallConfig, seed: int) -> None:
        super().__init__(config, seed)
        c, random = self.config, self.generator("weights")
        neuron = ALIF(c.tau_m_ms, c.v_th, c.refractory_ms, c.dampening, c.beta, c.tau_a_ms, c.n_alif, c.dt_ms)
        scaled = c.readout_scale == "one_minus_kappa"
        self.network = SpikingNetwork(
            RecurrentLayer(neuron, GROUPS * c.group_channels, c.n_rec, generator=random),
            Readout(c.n_rec, 2, c.tau_out_ms, one_minus_kappa=scaled, dt_ms=c.dt_ms, generator=random),
        )
        self.state: NeuronState | None = None  # in which a batch begins; None for rest

    @property
    def period_steps(self) -> int:
        """Time steps of a period."""
        return round(self.config.period_ms / self.config.dt_ms)

    def simulate(self, batch: RecallTrial) -> tuple[Tensor, Any]:
        """See `SpikingModule.simulate`; with carried states the next batch begins where this one ends.

        Raises UserError for carried states of several processes: a checkpoint would keep those of one.
        """
        if self.config.states == "carried" and process_of()[1] > 1:
            raise UserError("states=carried is trained in one process: set devices=1, or use states=reset")
        readout, z, after = self.network(batch.inputs, self.state, return_state=True)
        if self.training and self.config.states == "carried":
            self.state = after
        return readout, z

    def loss_of(self, readout: Tensor, batch: RecallTrial, first_step: int = 0) -> Tensor:
        """Cross entropy of the reported bit, as a mean over the RECALL periods of the batch or as the sum of a trial;
        of a piece of a trial only where it is a loss at every ms."""
        target = batch.schedule.target
        recalls = shared_count((target >= 0).sum()).to(readout.dtype)
        if self.config.task_loss == "period":
            mean, wanted = self._means(readout, target)
            return torch.nn.functional.cross_entropy(mean, wanted, reduction="sum") / recalls
        of_step = target.repeat_interleave(self.period_steps, dim=1)[:, first_step : first_step + readout.shape[1]]
        has_target = of_step >= 0
        loss = torch.nn.functional.cross_entropy(readout[has_target], of_step[has_target], reduction="sum")
        if self.config.task_loss == "per_ms_sum":
            return loss / shared_count(target.new_tensor(len(target))).to(loss)
        return loss / (recalls * self.period_steps)

    def _means(self, readout: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean readout [recall, 2] over each RECALL period, and the bits to be reported [recall]."""
        by_period = readout.unflatten(1, (target.shape[1], self.period_steps))
        has_target = target >= 0
        return by_period[has_target].mean(dim=1), target[has_target]

    def metrics(self, readout: Tensor, batch: RecallTrial) -> dict[str, Tensor]:
        """The share of RECALL periods in which the readout of higher mean activation is the wrong one."""
        wrong, recalls = self.wrong_recalls(readout, batch)
        return {"error": wrong / shared_count(recalls, at_least=0).to(wrong)}

    def wrong_recalls(self, readout: Tensor, batch: RecallTrial) -> tuple[Tensor, Tensor]:
        """In how many RECALL periods the readout of higher mean activation is the wrong one, and how many there are."""
        mean, wanted = self._means(readout, batch.schedule.target)
        return (mean.argmax(dim=1) != wanted).sum().float(), torch.tensor(float(len(wanted)), device=mean.device)

    def validation_step(self, batch: RecallTrial, batch_idx: int) -> Tensor:
        """The error on trials that are never trained on, with the weights and the state as they are."""
        return self._evaluated("validation_error", batch, self.state)

    def test_step(self, batch: RecallTrial, batch_idx: int) -> Tensor:
        """The error on trials that are neither trained on nor validated with, from rest."""
        return self._evaluated("test_error", batch, None)

    def predict_step(self, batch: RecallTrial, batch_idx: int) -> Tensor:
        """The bit that is reported in each RECALL period [batch, period], from rest; -1 in other periods."""
        readout, _ = self.network(batch.inputs)
        target = batch.schedule.target
        reported = readout.unflatten(1, (target.shape[1], self.period_steps)).mean(dim=2).argmax(dim=-1)
        return reported.masked_fill(target < 0, -1)

    def _evaluated(self, name: str, batch: RecallTrial, state: NeuronState | None) -> Tensor:
        readout, _ = self.network(batch.inputs, state)
        wrong, recalls = self.wrong_recalls(readout, batch)
        self.log(name, wrong / recalls, batch_size=int(recalls), on_epoch=True, on_step=False, sync_dist=True)
        return wrong / recalls

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The state that the next batch begins in."""
        if self.state is not None:
            checkpoint[STATE_KEY] = [*self.state.variables, self.state.z, self.state.refractory]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore that state."""
        if STATE_KEY in checkpoint:
            *variables, z, refractory = checkpoint[STATE_KEY]
            self.state = NeuronState(tuple(variables), z, refractory)
