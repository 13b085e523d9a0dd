"""Final numbers of a run of task 3.1, and a sequence of each level that it solved."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.runs.observer import Arrays, EachIteration, Numbers, recorder_of
from repro.runs.recorder import Recorder
from tasks.copy_repeat import estimates
from tasks.copy_repeat.config import CopyRepeatConfig
from tasks.copy_repeat.sequences import Level, sequences


def summary(series: Mapping[str, Any], config: CopyRepeatConfig) -> Numbers:
    """A run's final numbers: the longest sequence that was solved, its place on the ladder of levels, and when that was
    (0: none was); whether the curve has flattened: something was solved, and nothing more in the second half; errors of
    estimates as NAME_BATCHES, if they were measured."""
    solved = np.asarray(series["length_solved"])
    after = int(np.argmax(solved == solved[-1])) + 1 if solved[-1] else 0
    return {
        "length_solved": float(solved[-1]),
        "rung": float(len(np.unique(solved[solved > 0]))),
        "solved_after": float(after),
        "flattened": float(0 < after <= len(solved) / 2),
    } | estimates.metrics(series)


def observers(config: CopyRepeatConfig) -> list[EachIteration]:
    """The callbacks of a run."""
    return [SolvedLevels(), *([estimates.EstimateErrors()] if config.estimate_errors else [])]


class SolvedLevels(EachIteration):
    """Keeps one sequence of a level when it is solved: a network may forget that level while it learns the next."""

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """See `EachIteration.after_iteration`."""
        if outputs["solved"]:
            recorder.keep(example(pl_module, outputs["solved"]))

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """One sequence of the hardest level that was solved; of the first level, if none was."""
        snapshots = recorder_of(trainer).snapshots
        shown = snapshots[max(snapshots)] if snapshots else example(pl_module, Level())
        return {}, {name: values.numpy() for name, values in shown.items()}


@torch.no_grad()
def example(module: Any, level: Level) -> dict[str, Tensor]:
    """Input, target (NaN where there is none), and the probability of a one as the network has it, each [step,
    channel]."""
    made = sequences(level, 1, module.seed, "example", 0)
    output = module.network(made.inputs.to(module.network.layer.w_in))[0].sigmoid()
    target = made.target[0].clone()
    target[: level.first_target_step] = torch.nan
    return {"example_input": made.inputs[0], "example_target": target, "example_output": output.cpu().float()}
