"""results/ <-> pandas. Reads records, never torch; the only place that knows how results are laid out on disk.

results/runs/TASK/VARIANT-HASH/seed-N/      record.json, arrays.npz, journal.jsonl, last.ckpt   (ignored by git)
results/accepted/TASK/VARIANT-HASH/seed-N/  record.json, arrays.npz                              (committed)
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import UserError
from repro.records.record import RECORD, RunRecord, read_arrays, read_record

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(os.environ.get("REPRO_RESULTS", Path(__file__).parents[2] / "results"))


def folder(where: str | Path) -> Path:
    """The folder that "runs", "accepted" or a path means. Raises UserError when a given path does not exist."""
    if where in ("runs", "accepted"):
        return ROOT / where
    if not Path(where).is_dir():
        raise UserError(f"no folder {where}; --records wants runs, accepted, or a folder of records")
    return Path(where)


def run_folder(task: str, variant: str, config_hash: str, seed: int, where: str | Path = "runs") -> Path:
    """Where a run's files lie."""
    root = ROOT / where if where in ("runs", "accepted") else Path(where)
    return root / task / f"{variant}-{config_hash}" / f"seed-{seed}"


def record_folders(where: str | Path, task: str | None = None) -> list[Path]:
    """Folders that hold a record, sorted by path."""
    return sorted(path.parent for path in folder(where).glob(f"{task or '*'}/*/seed-*/{RECORD}"))


def read_all(where: str | Path, task: str | None = None) -> list[tuple[Path, RunRecord]]:
    """All records under a folder. Raises UserError naming the first that cannot be read."""
    return [(path, read_record(path)) for path in record_folders(where, task)]


def load(where: str | Path = "runs", task: str | None = None) -> "pd.DataFrame":
    """One row a run: task, variant, profile, seed, status, reason, config_hash, folder, and a column a metric."""
    import pandas as pd

    keys = ("task", "variant", "profile", "seed", "status", "reason", "config_hash", "wall_s", "started")
    rows = [
        {key: getattr(record, key) for key in keys} | dict(record.metrics) | {"folder": str(path)}
        for path, record in read_all(where, task)
    ]
    return pd.DataFrame(rows, columns=None if rows else [*keys, "folder"])


def load_curves(where: str | Path, series: str, task: str | None = None) -> "pd.DataFrame":
    """One row a trial: task, variant, seed, config_hash, iteration (from 1), and the series' value."""
    import pandas as pd

    frames = []
    for path, record in read_all(where, task):
        values = read_arrays(path, record).get(series)
        if values is not None:
            frame = pd.DataFrame({"iteration": range(1, len(values) + 1), series: values})
            frames.append(
                frame.assign(task=record.task, variant=record.variant, seed=record.seed, config_hash=record.config_hash)
            )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["iteration", series])
