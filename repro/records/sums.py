"""SHA256SUMS of the accepted results: which files there are, and the hash of each; `sha256sum -c` reads it too."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from repro.errors import UserError
from repro.records.files import read_bytes

SUMS = "SHA256SUMS"
READY = ".accept-ready"  # files that an acceptance has still to move into place (repro/claims/accept.py)
LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")
REMEDY = "`git checkout` restores what was committed"


def sums_of(root: Path) -> dict[str, str]:
    """Path below `root` -> hash of each file there; hidden files and folders are left out."""
    files = {path.relative_to(root): path for path in root.rglob("*") if not path.is_dir()}
    listed = {
        name.as_posix(): path
        for name, path in files.items()
        if name.name != SUMS and not any(part.startswith(".") for part in name.parts)
    }
    return {name: hashlib.sha256(read_bytes(path)).hexdigest() for name, path in listed.items()}


def sums_text(sums: Mapping[str, str]) -> bytes:
    """The content of SHA256SUMS."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()


def read_sums(root: Path) -> dict[str, str]:
    """What SHA256SUMS lists. Raises UserError when it is missing or damaged."""
    try:
        text = read_bytes(root / SUMS).decode()
    except UnicodeDecodeError:
        text = "?"
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    if not all(matches):
        raise UserError(f"{root / SUMS} is damaged; {REMEDY}")
    return {match[2]: match[1] for match in matches if match}


def verify(root: Path) -> None:
    """Raises UserError, naming the first file, when the files below `root` are not those that SHA256SUMS lists."""
    there = sums_of(root)
    if not there and not (root / SUMS).exists():
        return
    if not (root / SUMS).exists():
        raise UserError(
            f"{root} has no {SUMS}, which lists its files; {REMEDY}, `repro migrate` writes it for old records"
        )
    listed = read_sums(root)
    for name in sorted(there.keys() | listed.keys()):
        if there.get(name) != listed.get(name):
            fault = "is missing" if name not in there else "is not listed" if name not in listed else "was changed"
            interrupted = "an interrupted `repro accept` is finished when it is run again"
            remedy = interrupted if (root / READY).exists() else REMEDY
            raise UserError(f"{root / name} {fault} ({SUMS} lists the accepted files); {remedy}")
