"""A run that is over, as objects: its record, config, curves, and the module with the weights that it ended with."""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import UserError
from repro.records.record import RunRecord, read_arrays, read_record, read_weights
from repro.records.store import find_run
from repro.runs.config import from_mapping
from repro.runs.registry import get_task
from repro.runs.task import Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pytorch_lightning as pl


@dataclasses.dataclass(frozen=True)
class OpenedRun:
    """A run's folder, task, record and config; the rest is read when it is asked for."""

    folder: Path
    task: Task
    record: RunRecord
    config: Any

    @functools.cached_property
    def arrays(self) -> "dict[str, np.ndarray[Any, Any]]":
        """All arrays of the record: series [iteration], and what the observers kept."""
        return read_arrays(self.folder, self.record)

    @functools.cached_property
    def curves(self) -> "pd.DataFrame":
        """The series with one value an iteration, one row an iteration, indexed from 1."""
        import pandas as pd

        loss = self.arrays.get("loss")
        series = {
            name: values for name, values in self.arrays.items() if loss is not None and values.shape == loss.shape
        }
        index = pd.RangeIndex(1, 1 + (0 if loss is None else len(loss)), name="iteration")
        return pd.DataFrame(series, index=index)

    @functools.cached_property
    def module(self) -> "pl.LightningModule":
        """The task's LightningModule with the run's final weights, in evaluation mode.

        Raises UserError when the task trains nothing, when the weights were not kept, or are not those of the record.
        """
        import torch

        from repro.runs.weights import weights_hash

        if not self.task.module:
            raise UserError(f"{self.task.name} is measured, not trained: a run of it has no module")
        module: pl.LightningModule = self.task.load("module")(self.config, self.record.seed)
        weights = {name: torch.from_numpy(array) for name, array in read_weights(self.folder, self.record).items()}
        parameters = dict(module.named_parameters())
        if {name: tuple(w.shape) for name, w in weights.items()} != {k: tuple(p.shape) for k, p in parameters.items()}:
            raise UserError(f"{self.folder} has weights of another network than {self.task.name} builds today")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])
        if weights_hash(module) != self.record.weights_sha256:
            raise UserError(f"{self.folder} has weights with another hash than its record states")
        return module.eval()


def open_run(run: str | Path) -> OpenedRun:
    """Open a run: its folder, or TASK/VARIANT-HASH/seed-N among our runs or the accepted ones.

    Raises UserError when there is no such run, when its record is missing or broken, or its task is unknown here.
    """
    folder = find_run(run)
    record = read_record(folder)
    task = get_task(record.task)
    return OpenedRun(folder, task, record, from_mapping(task.config, record.config))
