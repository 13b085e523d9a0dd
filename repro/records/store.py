"""The folders of results/. No other module builds a path in results/ (repro.records.record names the files).

results/runs/TASK/VARIANT-HASH/seed-N/      record, arrays, journal, checkpoint, lock, log          (ignored by git)
results/accepted/TASK/VARIANT-HASH/seed-N/  record, arrays; verdicts.json in accepted/              (committed)
results/studies/STUDY/                      queue, runs/, logs/, table, picture                     (ignored by git)
results/figures/, results/data/             figures that were drawn; prepared data of tasks         (ignored by git)
"""

import os
from pathlib import Path

from repro.errors import UserError
from repro.records.record import RECORD, RunRecord, read_record

VERDICTS = "verdicts.json"
QUEUE, TABLE, PICTURE = "journal.log", "table.md", "landscape"  # of a study; the picture's kind is appended
CHECKOUT = Path(__file__).parents[2]  # where the package is installed: the folder of packages
ROOT = Path(os.environ.get("REPRO_RESULTS", CHECKOUT / "results"))


def folder(where: str | Path) -> Path:
    """The folder that "runs", "accepted" or a path means. Raises UserError when a given path does not exist."""
    if where in ("runs", "accepted"):
        return ROOT / where
    if not Path(where).is_dir():
        raise UserError(f"no folder {where}; --records wants runs, accepted, or a folder of records")
    return Path(where)


def require_writable(folder: Path) -> Path:
    """Return `folder` if files can be made in it or it can be made; makes nothing. Raises UserError."""
    there = folder
    while not there.exists() and there != there.parent and not there.is_symlink():
        there = there.parent
    if not there.is_dir():
        raise UserError(f"cannot write results to {folder}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"cannot write results to {folder}: no permission to write in {there}")
    return folder


def run_folder(task: str, variant: str, config_hash: str, seed: int, where: str | Path = "runs") -> Path:
    """Where a run's files lie."""
    root = ROOT / where if where in ("runs", "accepted") else Path(where)
    return root / task / f"{variant}-{config_hash}" / f"seed-{seed}"


def is_finished(folder: Path) -> bool:
    """Whether a folder holds the record of a finished run. Raises UserError for a broken record."""
    return (folder / RECORD).exists() and read_record(folder).status == "finished"


def identity(folder: Path) -> tuple[str, str, str, str]:
    """Task, variant, config hash and seed of a run, by its folder's name."""
    variant, _, digest = folder.parent.name.rpartition("-")
    return folder.parents[1].name, variant, digest, folder.name.removeprefix("seed-")


def study_folder(name: str) -> Path:
    """Where the files of a study lie."""
    return ROOT / "studies" / name


def figures_folder() -> Path:
    """Where figures are drawn unless the user names a folder."""
    return ROOT / "figures"


def data_folder() -> Path:
    """Where tasks keep data that they prepared; all of it can be made again."""
    return ROOT / "data"


def run_folders(where: str | Path) -> list[Path]:
    """Folders of runs, with or without a record, sorted by path."""
    return sorted(path for path in folder(where).glob("*/*/seed-*") if path.is_dir())


def record_folders(where: str | Path, task: str | None = None) -> list[Path]:
    """Folders that hold a record, sorted by path."""
    return sorted(path.parent for path in folder(where).glob(f"{task or '*'}/*/seed-*/{RECORD}"))


def read_all(where: str | Path, task: str | None = None) -> list[tuple[Path, RunRecord]]:
    """All records under a folder. Raises UserError naming the first that cannot be read."""
    return [(path, read_record(path)) for path in record_folders(where, task)]
