"""From a W&B run back to our record: the run's files contain it, and its summary, history and config must agree."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import UserError
from repro.records.record import ARRAYS, RECORD, RunRecord, has_record, read_arrays, read_record
from repro.records.store import run_folder
from repro.records.wandb_file import WandbFile, read_wandb_file
from repro.records.wandb_run import SERIES
from repro.text import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

EXAMPLE = "such as results/runs/TASK/VARIANT-HASH/seed-N/wandb/offline-run-TIME-ID"


def import_wandb(path: Path, where: str | Path) -> tuple[Path, RunRecord]:
    """Copy the record and the arrays of a W&B run into the runs under `where`; return their folder, and the record.

    `path` is the folder of a run as W&B keeps it on disk (or its `run-ID.wandb`), or a folder with the files of a run
    that were downloaded. Raises UserError when the record is missing or damaged, when it differs from what else the
    run states, and when another record of that run is there.
    """
    files, sent = _find(path)
    if not (files / RECORD).is_file() or not (files / ARRAYS).is_file():
        raise UserError(_what_is_missing(path, files, sent))
    with tempfile.TemporaryDirectory() as staging:
        folder, record = _staged(files, Path(staging))
        arrays = read_arrays(folder, record)
        if sent:
            _compare(path, record, arrays, sent)
        target = run_folder(record.task, record.variant, record.config_hash, record.seed, where)
        if has_record(target):
            if (target / RECORD).read_bytes() == (folder / RECORD).read_bytes():
                return target, record
            raise UserError(f"{target} has another record of this run; move it away to import {path}")
        target.mkdir(parents=True, exist_ok=True)
        for name in (ARRAYS, RECORD):  # the record last: one that exists is complete
            part = target / f"{name}.part"
            shutil.copyfile(folder / name, part)
            part.replace(target / name)
    return target, record


def _find(path: Path) -> tuple[Path, WandbFile | None]:
    """The folder of a run's files, and what else the run contains; None for files that were downloaded."""
    if path.is_file() and path.suffix == ".wandb":
        path = path.parent
    if not path.is_dir():
        raise UserError(f"no W&B run {path}: wants the folder of a run, {EXAMPLE}")
    logs = sorted(path.glob("run-*.wandb"))
    if logs:
        return path / "files", read_wandb_file(logs[0])
    if not (path / RECORD).exists():
        raise UserError(f"{path} is not the folder of a W&B run, {EXAMPLE}, nor has it a {RECORD}")
    return path, None


def _what_is_missing(path: Path, files: Path, sent: WandbFile | None) -> str:
    if sent is None:
        return f"{path} has no {ARRAYS}, which the record needs; download it from the run's files as well"
    history = f"{path} has {count(len(sent.history), 'iteration')} of history, up to iteration {sent.last_step},"
    if sent.exit_code is None:
        return f"{history} and no record: the run was killed; resume it where it was trained, then import its last part"
    missing = " and ".join(name for name in (RECORD, ARRAYS) if not (files / name).is_file())
    return f"{history} and no {missing}: the run ended without a record, or was not logged by `repro`"


def _staged(files: Path, staging: Path) -> tuple[Path, RunRecord]:
    """The record and the arrays in a folder of the run's name, where the record is read and verified."""
    try:
        names = json.loads((files / RECORD).read_bytes())
        task, variant, config_hash, seed = (names[key] for key in ("task", "variant", "config_hash", "seed"))
        plain = all(isinstance(name, str) and re.fullmatch(r"\w+", name) for name in (task, variant, config_hash))
        if not plain or isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{files / RECORD} is not a complete record") from None
    folder = run_folder(task, variant, config_hash, seed, staging)
    folder.mkdir(parents=True)
    for name in (RECORD, ARRAYS):
        shutil.copyfile(files / name, folder / name)
    try:
        return folder, read_record(folder)
    except UserError as error:
        raise UserError(str(error).replace(str(folder), str(files))) from None


def _compare(path: Path, record: RunRecord, arrays: "Mapping[str, np.ndarray]", sent: WandbFile) -> None:
    """Raises UserError where the summary, the config or the history differ from the record."""
    import numpy as np

    for name, value in record.metrics.items():
        if sent.summary.get(name) != value:
            raise UserError(f"{path}: {name} is {value} in the record and {sent.summary.get(name)} in the summary")
    for name in ("task", "variant", "profile", "seed", "config_hash"):
        if sent.config.get(name) != getattr(record, name):
            raise UserError(
                f"{path}: {name} is {getattr(record, name)} in the record and {sent.config.get(name)} in the config"
            )
    for row in sent.history:
        for name, series in arrays.items():
            point, step = row.get(SERIES + name), row["_step"]
            if point is None or len(series) != sent.last_step:
                continue
            if np.float32(point) != np.float32(series[step - 1]):
                raise UserError(f"{path}: {name} of iteration {step} is {point} in the history, not in the record")
