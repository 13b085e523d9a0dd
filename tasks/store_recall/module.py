"""The Lightning module of task 1.2."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.eprop.neurons.alif import ALIF
from repro.network import RecurrentNetwork
from repro.readout import Readout
from repro.runs.module import SpikingModule
from tasks.store_recall import decoding, example
from tasks.store_recall.config import AGES, StoreRecallConfig
from tasks.store_recall.data import GROUPS, Trial, schedule, trials

MEAN_OF = 20  # batches, for solved_by = mean_of_20
DELAY_TRIALS = 20_000  # from which the mean delay is taken


class StoreRecallModule(SpikingModule):
    """LIF and ALIF neurons, and two readouts that compete in each RECALL period."""

    config: StoreRecallConfig

    def __init__(self, config: StoreRecallConfig, seed: int) -> None:
        super().__init__(config, seed)
        c = config
        self.network = RecurrentNetwork(
            ALIF(c.tau_m_ms, c.v_th, c.refractory_ms, c.dampening, c.beta, c.tau_a_ms, c.n_alif, c.dt_ms),
            Readout(c.tau_out_ms, c.readout_scale == "one_minus_kappa", c.dt_ms),
            GROUPS * c.group_channels,
            c.n_rec,
            2,
            self.generator("weights"),
        )
        self.carries_state = c.states == "carried"

    @property
    def period_steps(self) -> int:
        """Time steps of a period."""
        return round(self.config.period_ms / self.config.dt_ms)

    def objective(self, readout: Tensor, batch: Trial, first_step: int = 0) -> Tensor:
        """Cross entropy of the reported bit, as a mean over the RECALL periods of the batch; of a piece of a trial only
        where it is a loss at every ms."""
        target = batch.schedule.target
        recalls = max(int((target >= 0).sum()), 1)
        if self.config.task_loss == "period":
            heard, wanted = self._means(readout, target)
            return torch.nn.functional.cross_entropy(heard, wanted, reduction="sum") / recalls
        of_step = target.repeat_interleave(self.period_steps, dim=1)[:, first_step : first_step + readout.shape[1]]
        asked = of_step >= 0
        loss = torch.nn.functional.cross_entropy(readout[asked], of_step[asked], reduction="sum")
        return loss / (recalls * self.period_steps)

    def _means(self, readout: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean readout [recall, 2] over each RECALL period, and the bits to be reported [recall]."""
        by_period = readout.unflatten(1, (target.shape[1], self.period_steps))
        asked = target >= 0
        return by_period[asked].mean(dim=1), target[asked]

    def metrics(self, readout: Tensor, batch: Trial) -> dict[str, Tensor]:
        """The share of RECALL periods in which the readout of higher mean activation is the wrong one."""
        heard, wanted = self._means(readout, batch.schedule.target)
        return {"error": (heard.argmax(dim=1) != wanted).float().mean()}

    def training_step(self, batch: Trial, batch_idx: int) -> dict[str, Any]:
        """One batch, and before its update the error on as many trials that are never trained on."""
        validation = self.validation_error(batch_idx)
        outputs = super().training_step(batch, batch_idx)
        outputs["metrics"]["validation_error"] = validation
        return outputs

    @torch.no_grad()
    def validation_error(self, index: int) -> Tensor:
        """The error on validation batch number `index`, with the weights as they are."""
        batch = trials(self.config, self.seed, "validation", index)
        batch = self.transfer_batch_to_device(batch, self.network.w_in.device, 0)
        trajectory, _ = self.network.simulate(batch.inputs, self.state_before(), keep_variables=False)
        return self.metrics(self.network.read_out(trajectory.spikes), batch)["error"]

    def is_solved(self, series: Mapping[str, list[float]]) -> bool:
        """Whether training may stop: below 5 % on separate validation trials."""
        c = self.config
        return c.stop_when_solved and _solved_after(series["validation_error"], c.solved_by, c.solved_error) is not None

    def snapshot(self, done: int, outputs: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """The weights at the ages at which Fig. 2b decodes."""
        if not self.config.decode or done not in self.ages:
            return None
        return {name: weight.detach().cpu().clone() for name, weight in self.network.named_parameters()}

    @property
    def ages(self) -> tuple[int, ...]:
        """Iterations after which Fig. 2b decodes; as parts of the run where it is a short one."""
        return tuple(max(1, age * self.config.iterations // AGES[-1]) for age in AGES)

    @staticmethod
    def summary(series: Mapping[str, np.ndarray[Any, Any]], config: StoreRecallConfig) -> dict[str, float]:
        """A run's final numbers: iterations to 5 % error by both measures; with no end, the cap and a mark."""
        errors, last = list(series["validation_error"]), min(MEAN_OF, len(series["validation_error"]))
        found = {"error": float(np.mean(errors[-last:])), "rate_hz": float(np.mean(series["rate_hz"][-last:]))}
        for measure in ("one_batch", "mean_of_20"):
            after = _solved_after(errors, measure, config.solved_error)
            found[f"iterations_{measure}"] = float(len(errors) if after is None else after)
            if measure == config.solved_by:
                found["iterations"] = found[f"iterations_{measure}"]
                found["iterations_at_least"] = float(after is None)
        return found

    def analysis(self, data: Any, snapshots: Mapping[int, Mapping[str, Tensor]]) -> tuple[dict[str, float], Any]:
        """What the figure needs of the trained network: the mean delay, one trial, and the decoding of Fig. 2b."""
        plan = schedule(self.config, DELAY_TRIALS, self.generator("delays"))
        k = torch.arange(plan.store.shape[1])
        delay = ((plan.recall * k).sum() - (plan.store * k).sum()) / plan.recall.sum() * self.config.period_ms / 1000
        metrics, arrays = {"delay_s": float(delay)}, example.arrays(self)
        if self.config.decode:
            found, curves = decoding.decode(self, [snapshots[age] for age in self.ages])
            metrics, arrays = metrics | found, arrays | curves
        return metrics, arrays


def _solved_after(errors: list[float], measure: str, limit: float) -> int | None:
    """Updates before the validation error first lay below `limit`; None if it never did."""
    width = 1 if measure == "one_batch" else MEAN_OF
    for last in range(width - 1, len(errors)):
        if sum(errors[last - width + 1 : last + 1]) / width < limit:
            return last
    return None
