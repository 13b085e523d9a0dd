"""Final numbers of a run of task 1.1, and the trials that panel 1c shows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from repro.runs.observer import Arrays, EachIteration, Numbers, recorder_of
from repro.runs.recorder import Recorder
from tasks.pattern_generation.config import PatternGenerationConfig

SNAPSHOT_TRIALS = (1, 100, 500)  # Fig. 1c
SHOWN = 20  # neurons, "a randomly chosen subset"
ACTIVE_HZ = 5  # what a neuron fires at least, to be chosen before others


def summary(series: Mapping[str, Any], config: PatternGenerationConfig) -> Numbers:
    """A run's final numbers from its series [trial]: Fig. 1d's bar, Fig. 1c's "after 500", the firing rate."""
    last = config.final_trials
    numbers = {name: float(np.mean(series[name][-last:])) for name in ("nmse", "mse", "rate_hz")}
    if len(series["nmse"]) >= 500:
        numbers["nmse_500"] = float(np.mean(series["nmse"][500 - last : 500]))
    return numbers


def observers(config: PatternGenerationConfig) -> list[EachIteration]:
    """The callbacks of a run."""
    return [Snapshots()]


class Snapshots(EachIteration):
    """Keeps readout [time, readout] and spikes [time, neuron] of the trials that panel 1c shows."""

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """See `EachIteration.after_iteration`."""
        if recorder.done in SNAPSHOT_TRIALS:
            readout, spikes = outputs["readout"][0].cpu().clone(), outputs["spikes"][0].cpu().to(torch.uint8)
            recorder.keep({"readout": readout, "spikes": spikes})

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """The target [time, readout], the input [time, input], and the snapshots, stacked."""
        data: Any = trainer
        trial, snapshots = data.datamodule.trial, recorder_of(trainer).snapshots
        arrays = {"target": trial.target[0].numpy(), "input_spikes": trial.inputs[0].numpy().astype(np.uint8)}
        if shown := sorted(snapshots):
            arrays["snapshot_trials"] = np.array(shown)
            readouts = np.stack([snapshots[done]["readout"].numpy() for done in shown])
            arrays["snapshot_readout"] = readouts.astype(np.float16)
            spikes = np.stack([snapshots[done]["spikes"].numpy().T for done in shown])
            active = spikes[-1].mean(1) >= ACTIVE_HZ * pl_module.config.dt_ms / 1000
            neurons = choose(active, pl_module.seed)
            arrays |= {"snapshot_spikes": spikes[:, neurons], "snapshot_neurons": neurons}
            arrays["snapshot_active"] = np.array(active.sum())
        return {}, arrays


def choose(active: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """Indices, ascending, of the neurons to show: drawn at random from the active ones, and from the others only where
    there are too few; `active` [neuron]."""
    order = np.random.default_rng(seed).permutation(len(active))
    first = order[np.argsort(~active[order], kind="stable")][:SHOWN]
    return np.sort(first)
