"""Checkpoints: written whole or not at all, with a hash, the identity of their run and the parts it has had so far.

The hash is the comment of the zip file that torch writes: one file is replaced in one step, and torch still reads it.
"""

import dataclasses
import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydantic
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from repro.errors import UserError
from repro.records.files import read_bytes, write_atomically
from repro.records.record import CHECKPOINT, Part

LAST = CHECKPOINT
RUN_KEY, PARTS_KEY = "eprop_repro_run", "eprop_repro_parts"
PREFIX = b"sha256:"
COMMENT = len(PREFIX) + 64  # bytes
LARGEST = 1 << 34  # bytes: 16 GB, more than Adam needs for a billion weights
REMEDY = "delete it to train from the start"


def sealed(data: bytes) -> bytes:
    """A zip file without a comment, with its hash as the comment."""
    comment = PREFIX + hashlib.sha256(data).hexdigest().encode()
    return data[:-2] + len(comment).to_bytes(2, "little") + comment


def unsealed(path: Path) -> bytes:
    """The zip file in a checkpoint. Raises UserError when it has another hash than it carries, or none."""
    data = read_bytes(path, LARGEST)
    body, comment = data[:-COMMENT], data[-COMMENT:]
    original = body[:-2] + b"\0\0"
    if sealed(original) != data or not comment.startswith(PREFIX):
        raise UserError(f"{path} is damaged, or was written by another version: its hash differs; {REMEDY}")
    return original


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes and reads such files; `parts` gives those of the run up to now."""

    def __init__(self, identity: str, parts: Callable[[], tuple[Part, ...]] = tuple) -> None:
        super().__init__()
        self.identity, self.parts = identity, parts

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save so that a kill at any moment leaves the previous checkpoint readable."""
        buffer = io.BytesIO()
        parts = [dataclasses.asdict(part) for part in self.parts()]
        torch.save(checkpoint | {RUN_KEY: self.identity, PARTS_KEY: parts}, buffer)
        write_atomically(Path(path), sealed(buffer.getvalue()))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Load what `resumable` has checked. Raises UserError when it has changed since."""
        return load(Path(path))


def load(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU. Raises UserError when it is damaged."""
    data = unsealed(path)
    try:
        content: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds: RuntimeError, EOFError, UnpicklingError, ...
        raise UserError(f"{path} is not a checkpoint of ours ({type(error).__name__}); {REMEDY}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a checkpoint of ours; {REMEDY}")
    return content


def resumable(folder: Path, identity: str) -> tuple[Part, ...] | None:
    """The parts that a run has had, by the checkpoint to resume it from; None if there is no checkpoint.

    Raises UserError when the file is damaged, or was written by a run of another config or rule.
    """
    path = folder / LAST
    if not path.exists() and not path.is_symlink():
        return None
    content = load(path)
    owner = content.get(RUN_KEY, "an unknown run")
    if owner != identity:
        raise UserError(f"{path} was written by {owner}, this run is {identity}; {REMEDY}")
    return parts_of(content, path)


def parts_of(content: Mapping[str, Any], path: Path) -> tuple[Part, ...]:
    """The parts that a checkpoint lists. Raises UserError when they are not parts."""
    try:
        return tuple(Part(**part) for part in content[PARTS_KEY])
    except (KeyError, TypeError, pydantic.ValidationError):
        raise UserError(f"{path} does not state how it was made; {REMEDY}") from None
