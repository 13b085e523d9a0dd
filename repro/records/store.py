"""The folders of results/. No other module builds a path in results/ (repro.records.record names the files).

results/runs/TASK/VARIANT-HASH/seed-N/      record, arrays, journal, checkpoint, lock, log          (ignored by git)
results/accepted/TASK/VARIANT-HASH/seed-N/  record, arrays, small weights                           (committed)
results/accepted/                           verdicts.json, SHA256SUMS of all accepted files         (committed)
results/studies/STUDY/                      queue, runs/, table, points, picture                     (ignored by git)
results/queues/FIGURE-PROFILE/              queue of a figure's runs                                 (ignored by git)
results/figures/, results/figures/accepted/ figures of the user's records, of the accepted ones     (ignored by git)
results/report/                             the report                                              (ignored by git)
results/data/                               prepared data of tasks                                  (ignored by git)
"""

import os
from collections.abc import Sequence
from pathlib import Path

from repro.errors import UserError
from repro.records.record import RECORD, RunRecord, has_record, read_record, run_path
from repro.records.sums import verify

VERDICTS = "verdicts.json"
QUEUE, TABLE, PICTURE = "journal.log", "table.md", "landscape"  # of a study; the picture's kind is appended
POINTS = "points.log"  # of a study: its points as Optuna's trials
CHECKOUT = Path(__file__).parents[2]  # where the package is installed: a checkout, or a folder of packages
PYPROJECT, PROJECT = CHECKOUT / "pyproject.toml", "eprop-repro"


def in_checkout() -> bool:
    """Whether the package is used from a checkout: another project's files may lie beside an installed one."""
    try:
        return f'name = "{PROJECT}"' in PYPROJECT.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _home() -> Path:
    """The folder of results/ and sweeps/: the checkout, else the current one."""
    try:
        return CHECKOUT if in_checkout() else Path.cwd()
    except FileNotFoundError:  # it was deleted: what is written there later fails with a sentence
        return Path()


HOME = _home()
ROOT = Path(os.environ.get("REPRO_RESULTS") or HOME / "results")


def folder(where: str | Path) -> Path:
    """The folder that "runs", "accepted", the name of a study, or a path means: of a study's folder its runs.

    Raises UserError when a given path does not exist.
    """
    if where in ("runs", "accepted"):
        return ROOT / where
    given, is_name = Path(where), Path(where).name == str(where)
    path = study_folder(str(where)) if is_name and not given.is_dir() else given
    if path.is_dir():
        return path / "runs" if path.parent.resolve() == study_folder("").resolve() else path
    if is_name and (HOME / "sweeps" / f"{where}.toml").is_file():
        raise UserError(f"no runs of the study {where} here yet; `repro sweep {where}` trains them")
    if given not in (ROOT / "runs", ROOT / "accepted"):
        raise UserError(
            f"no folder {where}; --records wants runs, accepted, the name of a study, or a folder of records"
        )
    return given


def is_accepted(where: str | Path) -> bool:
    """Whether these are the committed records."""
    return folder(where).resolve() == folder("accepted").resolve()


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
    return root / run_path(task, variant, config_hash, seed)


def is_finished(folder: Path) -> bool:
    """Whether a folder holds the record of a finished run. Raises UserError for a broken record."""
    return has_record(folder) and read_record(folder).status == "finished"


def identity(folder: Path) -> tuple[str, str, str, str]:
    """Task, variant, config hash and seed of a run, by its folder's name."""
    variant, _, digest = folder.parent.name.rpartition("-")
    return folder.parents[1].name, variant, digest, folder.name.removeprefix("seed-")


def find_run(name: str | Path) -> Path:
    """The folder of a run: a path, or TASK/VARIANT-HASH/seed-N among our runs, else among the accepted ones.

    Raises UserError when there is none.
    """
    for path in (Path(name), ROOT / "runs" / name, ROOT / "accepted" / name):
        if path.is_dir() and (path.name.startswith("seed-") or (path / RECORD).is_file()):
            return path.resolve()
    raise UserError(f"no run {name}; RUN is its folder or TASK/VARIANT-HASH/seed-N (`repro runs` lists them)")


def find_runs(names: Sequence[str | Path]) -> list[Path]:
    """The folders of runs, each given by its path or name, or by a folder above. Raises UserError for any other."""
    folders: list[Path] = []
    for name in names:
        path = Path(name)
        below = sorted(p for p in path.rglob("seed-*") if p.is_dir()) if not path.name.startswith("seed-") else []
        folders += [folder.resolve() for folder in below] or [find_run(name)]
    return list(dict.fromkeys(folders))


def study_folder(name: str) -> Path:
    """Where the files of a study lie."""
    return ROOT / "studies" / name


def queue_folder(name: str) -> Path:
    """Where the queue of a figure's runs lies."""
    return ROOT / "queues" / name


def figures_folder(where: str | Path = "runs") -> Path:
    """Where figures of the records under `where` are drawn unless the user names a folder: those of the accepted
    records have their own, so that they never replace the user's."""
    figures = ROOT / "figures"
    return figures / "accepted" if is_accepted(where) else figures


def report_file() -> Path:
    """Where the report is written unless the user names a file."""
    return ROOT / "report" / "report.html"


def data_folder() -> Path:
    """Where tasks keep data that they prepared; all of it can be made again."""
    return ROOT / "data"


def run_folders(where: str | Path) -> list[Path]:
    """Folders of runs, with or without a record, sorted by path. Raises UserError as `record_folders` does."""
    return _run_folders(_verified(where))


def _verified(where: str | Path) -> Path:
    """The folder that `where` means, by whatever name. Raises UserError when accepted files differ from their list."""
    if is_accepted(where):
        verify(folder(where))
    return folder(where)


def _run_folders(root: Path, task: str | None = None) -> list[Path]:
    tasks = [path for path in _folders(root) if task in (None, path.name)]
    runs = [run for task_folder in tasks for config in _folders(task_folder) for run in _folders(config)]
    return [run for run in runs if run.name.startswith("seed-")]


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, sorted. Raises UserError when it may not be read: its runs would be missed."""
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def record_folders(where: str | Path, task: str | None = None, verified: bool = True) -> list[Path]:
    """Folders that hold a record, sorted by path.

    Raises UserError when accepted files differ from their list; with `verified` false the list is not read.
    """
    root = _verified(where) if verified else folder(where)
    return [path for path in _run_folders(root, task) if has_record(path)]


def read_all(where: str | Path, task: str | None = None) -> list[tuple[Path, RunRecord]]:
    """All records under a folder. Raises UserError naming the first that cannot be read."""
    return [(path, read_record(path)) for path in record_folders(where, task)]
