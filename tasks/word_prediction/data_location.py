"""Which text this machine has, and where: the Penn Treebank, a text of the user's, the stand-in. No torch in here."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from repro.records import store
from repro.runs.config import Value

SPLITS = ("training", "validation", "test")


def download_folder() -> Path:
    """Where `repro data ptb` puts the Penn Treebank."""
    return store.ROOT / "data" / "ptb"


def own_text_folder() -> Path:
    """Where `repro data text` puts the text that it prepared."""
    return store.ROOT / "data" / "text"


def text_digest(folder: Path) -> str:
    """Eight hex digits that name the text that was prepared there; empty where a part of it is missing."""
    try:
        parts = [(folder / f"{split}.txt").read_bytes() for split in SPLITS]
    except OSError:
        return ""
    return digest_of(parts)


def digest_of(parts: Iterable[bytes]) -> str:
    """Eight hex digits that name a text of these parts."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:8]


def ptb_dir() -> Path | None:
    """PTB_DIR, else the folder of the download; None where there is neither."""
    if folder := os.environ.get("PTB_DIR"):
        return Path(folder)
    return download_folder() if download_folder().is_dir() else None


def data_here() -> Mapping[str, Value]:
    """The config values that follow from that: the Penn Treebank goes first, then the user's own text."""
    if ptb_dir():
        return {"corpus": "ptb"}
    return {"corpus": "text" if own_text_folder().is_dir() else "stand_in"}


def data_version(config: Any) -> Mapping[str, Value]:
    """The config value by which runs of one text of the user's are other runs than those of the next."""
    return {"corpus_digest": text_digest(own_text_folder())} if config.corpus == "text" else {}
