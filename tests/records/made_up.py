"""A run that was never made, in a folder of its name."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repro.records.arrays import pack_arrays
from repro.records.record import RunRecord, run_path, write_record


def made_run(root: Path, seed: int = 0, loss: Sequence[float] = (0.5, 0.25), **changes: Any) -> Path:
    """Write record, arrays and weights of a finished run below `root`; return its folder."""
    arrays, weights = pack_arrays({"loss": np.array(loss)}), pack_arrays({"w": np.arange(3.0) + seed})
    fields: dict[str, Any] = {
        "task": "toy",
        "variant": "a",
        "profile": "paper",
        "seed": seed,
        "config": {"learning_rate": 0.1, "iterations": len(loss)},
        "config_hash": "0badcafe",
        "status": "finished",
        "reason": "",
        "metrics": {"loss": loss[-1]},
        "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
        "weights_sha256": "ab" * 32,
        "weights_file_sha256": hashlib.sha256(weights).hexdigest(),
        "git_commit": "0" * 40,
        "git_dirty": False,
        "versions": {"torch": "2.11.0"},
        "device": "cpu",
        "machine": "a processor",
        "threads": 1,
        "started": "2019-02-21T00:00:00+00:00",
        "wall_s": 1.5,
    }
    fields |= changes
    folder = root / run_path(fields["task"], fields["variant"], fields["config_hash"], fields["seed"])
    folder.mkdir(parents=True)
    write_record(folder, RunRecord(**fields), arrays, weights)
    return folder
