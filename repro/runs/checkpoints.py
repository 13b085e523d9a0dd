"""Checkpoints that are written atomically and carry the identity of their run."""

import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from repro.errors import UserError
from repro.records.record import CHECKPOINT

LAST = CHECKPOINT
RUN_KEY = "eprop_repro_run"


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes to a second file, then replaces the old checkpoint; adds the run's identity."""

    def __init__(self, identity: str) -> None:
        super().__init__()
        self.identity = identity

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save so that a kill at any moment leaves the previous checkpoint readable."""
        part = Path(f"{path}.part")
        torch.save(checkpoint | {RUN_KEY: self.identity}, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)


def resumable(folder: Path, identity: str) -> Path | None:
    """The checkpoint to resume a run from, or None if there is none.

    Raises UserError when the file is damaged, or was written by a run of another config or rule.
    """
    path = folder / LAST
    if not path.exists():
        return None
    try:
        owner = torch.load(path, map_location="cpu", weights_only=True).get(RUN_KEY, "an unknown run")
    except Exception as error:  # torch raises many kinds: RuntimeError, EOFError, UnpicklingError, ...
        raise UserError(
            f"{path} is not a whole checkpoint ({type(error).__name__}); delete it to train from the start"
        ) from None
    if owner != identity:
        raise UserError(f"{path} was written by {owner}, this run is {identity}; delete it to train from the start")
    return path
