"""Which records a figure was drawn from: a line at its foot, and the whole list for the file's metadata."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from paper_figures.table import Table
from repro.records.record import RECORD
from repro.text import count, seeds_text

SHOWN = 8  # digits of the SHA-256 that are printed in the figure


def line(tables: Iterable[Table]) -> str:
    """ "records: 90 accepted runs, seeds 0-9 (1f3a9c2d)"."""
    tables = list(tables)
    runs = pd.concat([table.runs for table in tables])
    kind = "accepted run" if Path(tables[0].where).name == "accepted" else "run"
    return f"records: {count(len(runs), kind)}, {seeds_text(runs.seed)} ({digest(runs.folder)[:SHOWN]})"


def about(title: str, tables: Iterable[Table]) -> dict[str, str]:
    """The metadata of a file: a title, and every run by task, variant, hash of its config and seed."""
    runs = pd.concat([table.runs for table in tables])
    listed = [
        f"{task}/{variant}-{digits} {seeds_text(group.seed)}"
        for (task, variant, digits), group in runs.groupby(["task", "variant", "config_hash"])
    ]
    text = f"drawn from {count(len(runs), 'run')}: {'; '.join(listed)}. SHA-256 of the records: {digest(runs.folder)}"
    return {"Title": title, "Description": text}


def digest(folders: Iterable[str]) -> str:
    """SHA-256 of the record files in some folders, in the order of the folders' names."""
    whole = hashlib.sha256()
    for folder in sorted(folders, key=lambda path: Path(path).parts[-3:]):
        whole.update(hashlib.sha256((Path(folder) / RECORD).read_bytes()).digest())
    return whole.hexdigest()
