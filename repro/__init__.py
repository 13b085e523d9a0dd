"""Reproduction suite for Bellec, Scherr et al. (2019), "Biologically inspired alternatives to backpropagation through
time for learning in recurrent neural nets".

For notebooks: `repro.load()` gives the records of all runs as a pandas frame, `repro.load_curves` their curves, and
`repro.open(run)` one run with its module.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from repro.runs.opened import OpenedRun

__version__ = "0.6.0"
__all__ = ["__version__", "load", "load_curves", "open"]


def load(where: str | Path = "runs", task: str | None = None, config: str | Sequence[str] = ()) -> "pd.DataFrame":
    """Records as a table, one row a run. docs/records.md lists the columns.

    `where` is "runs" (yours), "accepted" (the committed ones) or a folder; `task` keeps one task; `config` names keys
    of the config that become columns `config.KEY`, or is "all".
    Raises UserError when the folder, the task or a key is unknown, or a record cannot be read.
    """
    from repro.records import frames

    _check_task(where, task)
    return frames.load(where, task, config)


def load_curves(where: str | Path = "runs", series: str = "nmse", task: str | None = None) -> "pd.DataFrame":
    """One series of all runs as a table, one row an iteration: task, variant, profile, seed, config_hash, iteration
    (from 1), value. Curves have the length of their runs.

    Raises UserError when the folder, the task or the series is unknown, or a record or its arrays cannot be read.
    """
    from repro.records import frames

    _check_task(where, task)
    return frames.load_curves(where, series, task)


def open(run: str | Path) -> "OpenedRun":
    """One run: its `record`, `config`, `curves` (a frame), `arrays`, and the `module` with its final weights.

    `run` is its folder, or TASK/VARIANT-HASH/seed-N among our runs or the accepted ones. Raises UserError when there is
    no such run, its record is missing or broken, or its weights (read when `module` is used) were not kept.
    """
    from repro.runs.opened import open_run

    return open_run(run)


def _check_task(where: str | Path, task: str | None) -> None:
    """Raises UserError for a task that is neither registered nor has a record."""
    from repro.errors import unknown
    from repro.records.store import record_folders
    from repro.runs.registry import task_names

    if task is not None and task not in task_names() and not record_folders(where, task):
        raise unknown("task", task, task_names())
