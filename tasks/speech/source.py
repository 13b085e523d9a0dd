"""Which speech this machine has: TIMIT in the user's folder, or synthesised speech. No torch in here."""

import os
from collections.abc import Mapping
from pathlib import Path

from repro.records import store
from repro.runs.config import Value

REMEMBERED = "timit.path"  # in the data folder: the folder that `repro data timit DIR` has checked


def data_folder() -> Path:
    """Where prepared data lie: the synthesised corpora and the features, all of which can be made again."""
    return store.data_folder()


def timit_dir() -> Path | None:
    """TIMIT_DIR, else the folder that `repro data timit DIR` was given; None where there is neither."""
    if folder := os.environ.get("TIMIT_DIR"):
        return Path(folder)
    remembered = data_folder() / REMEMBERED
    return Path(remembered.read_text(encoding="utf-8").strip()) if remembered.exists() else None


def data_here() -> Mapping[str, Value]:
    """The config values that follow from that."""
    return {"corpus": "timit" if timit_dir() else "stand_in"}
