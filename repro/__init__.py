"""Reproduction suite for Bellec, Scherr et al. (2019), "Biologically inspired alternatives to backpropagation through
time for learning in recurrent neural nets".

For notebooks: `repro.load()` gives the records of all runs as a pandas frame, `repro.load_curves` their curves, and
`repro.open(run)` one run with its module.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from repro.runs.opened import OpenedRun

__version__ = "0.5.0"
__all__ = ["__version__", "load", "load_curves", "open"]


def load(where: str | Path = "runs", task: str | None = None) -> "pd.DataFrame":
    """Records as a table, one row a run: task, variant, profile, seed, status, config_hash, and a column a metric.

    `where` is "runs" (yours), "accepted" (the committed ones) or a folder; `task` keeps one task.
    Raises UserError when the folder does not exist or a record cannot be read.
    """
    from repro.records import store

    return store.load(where, task)


def load_curves(where: str | Path = "runs", series: str = "nmse", task: str | None = None) -> "pd.DataFrame":
    """One series of all runs as a table, one row a trial: task, variant, seed, config_hash, iteration, value.

    Raises UserError when the folder does not exist or a record or its arrays cannot be read.
    """
    from repro.records import store

    return store.load_curves(where, series, task)


def open(run: str | Path) -> "OpenedRun":
    """One run: its `record`, `config`, `curves` (a frame), `arrays`, and the `module` with its final weights.

    `run` is its folder, or TASK/VARIANT-HASH/seed-N among our runs or the accepted ones. Raises UserError when there is
    no such run, its record is missing or broken, or its weights (read when `module` is used) were not kept.
    """
    from repro.runs.opened import open_run

    return open_run(run)
