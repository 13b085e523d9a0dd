"""The Lightning module of task 1.1."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.eprop.neurons.lif import LIF
from repro.network import RecurrentNetwork
from repro.readout import Readout
from repro.training.module import SpikingModule
from tasks.pattern_generation.config import PatternGenerationConfig
from tasks.pattern_generation.data import Trial

SNAPSHOT_TRIALS = (1, 100, 500)  # Fig. 1c


class PatternGenerationModule(SpikingModule):
    """600 LIF neurons and three readouts that follow three patterns."""

    def __init__(self, config: PatternGenerationConfig, seed: int) -> None:
        super().__init__(config, seed)
        c = config
        self.network = RecurrentNetwork(
            LIF(c.tau_m_ms, c.v_th, c.refractory_ms, c.dampening, c.dt_ms),
            Readout(c.tau_out_ms, c.readout_scale == "one_minus_kappa", c.dt_ms),
            c.n_in,
            c.n_rec,
            c.n_out,
            self.generator("weights"),
            c.recurrent,
        )

    def objective(self, readout: Tensor, batch: Trial, first_step: int = 0) -> Tensor:
        """The target-mse over time and readouts, or the half sum above Eq. 42, as a mean over trials."""
        target = batch.target[:, first_step : first_step + readout.shape[1]]
        squared = (readout - target).square().sum()
        if self.config.task_loss == "mean":
            return squared / batch.target.numel()
        return squared / (2 * batch.target.shape[0])

    def metrics(self, readout: Tensor, batch: Trial) -> dict[str, Tensor]:
        """The mean squared error, and the normalised one: over the mean variance of the targets."""
        variance = batch.target.var(dim=1, unbiased=False).mean()
        mse = (readout - batch.target).square().mean()
        return {"nmse": mse / variance, "mse": mse}

    @staticmethod
    def summary(series: Mapping[str, np.ndarray[Any, Any]], config: PatternGenerationConfig) -> dict[str, float]:
        """A run's final numbers from its series [trial]: Fig. 1d's bar, Fig. 1c's "after 500", the firing rate."""
        last = config.final_trials
        found = {name: float(np.mean(series[name][-last:])) for name in ("nmse", "mse", "rate_hz")}
        if len(series["nmse"]) >= 500:
            found["nmse_500"] = float(np.mean(series["nmse"][500 - last : 500]))
        return found

    def snapshot(self, done: int, outputs: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """Readout [time, readout] and spikes [time, neuron] of the trials that panel 1c shows."""
        if done not in SNAPSHOT_TRIALS:
            return None
        return {"readout": outputs["readout"][0].cpu().clone(), "spikes": outputs["spikes"][0].cpu().to(torch.uint8)}

    def analysis(self, data: Any, snapshots: Mapping[int, Mapping[str, Tensor]]) -> tuple[dict[str, float], Any]:
        """What panel 1c draws: the target [time, readout], the input [time, input], and the snapshots, stacked."""
        trial, shown = data.trial, sorted(snapshots)
        arrays = {"target": trial.target[0].numpy(), "input_spikes": trial.inputs[0].numpy().astype(np.uint8)}
        if shown:
            arrays["snapshot_trials"] = np.array(shown)
            readouts = np.stack([snapshots[done]["readout"].numpy() for done in shown])
            arrays["snapshot_readout"] = readouts.astype(np.float16)
            arrays["snapshot_spikes"] = np.stack([snapshots[done]["spikes"].numpy().T for done in shown])
        return {}, arrays
