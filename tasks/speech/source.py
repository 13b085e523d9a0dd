"""Which speech this machine has: TIMIT in the user's folder, or synthesised speech. No torch in here."""

import os
from collections.abc import Mapping
from pathlib import Path

from repro.errors import UserError
from repro.records import store
from repro.records.files import read_text
from repro.runs.config import Value

REMEMBERED = "timit.path"  # in the data folder: the folder that `repro data timit DIR` has checked


def data_folder() -> Path:
    """Where prepared data lie: the synthesised corpora and the features, all of which can be made again."""
    return store.data_folder()


def timit_dir() -> Path | None:
    """TIMIT_DIR, else the folder that `repro data timit DIR` was given; None where there is neither.

    Raises UserError when the file that names the folder is damaged.
    """
    if folder := os.environ.get("TIMIT_DIR"):
        return Path(folder)
    remembered = data_folder() / REMEMBERED
    if not remembered.exists():
        return None
    if folder := read_text(remembered).strip():
        return Path(folder)
    raise UserError(f"{remembered} is empty: run `repro data timit DIR` again, or remove it")


def data_here() -> Mapping[str, Value]:
    """The config values that follow from that."""
    return {"corpus": "timit" if timit_dir() else "stand_in"}
