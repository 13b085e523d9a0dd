"""Runs with loggers, and what the loggers have of them."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytorch_lightning as pl

from repro.records.wandb_file import WandbFile, read_wandb_file
from repro.runs.recorder import Recorder
from tests.runs.workers import train

SETTINGS = {"iterations": "40"}


def train_mirrored(out: Path, settings: Mapping[str, str], moment: str) -> None:
    """As `train`, with W&B offline; for a process of its own."""
    os.environ["WANDB_MODE"] = "offline"
    train(out, settings, moment)


def only_run(out: Path) -> Path:
    (folder,) = out.glob("*/*/seed-*")
    return folder


def part_folders(run_folder: Path) -> list[Path]:
    """The folders that W&B keeps of a run, in the order of time."""
    return sorted((run_folder / "wandb").glob("*run-2*"), key=lambda path: path.stat().st_mtime_ns)


def parts_of(run_folder: Path) -> list[WandbFile]:
    return [read_wandb_file(next(path.glob("run-*.wandb"))) for path in part_folders(run_folder)]


class Raises(pl.Callback):
    """An exception at the end of an iteration, when it is recorded and sent."""

    def __init__(self, iteration: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.iteration, self.error = iteration, error

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        (recorder,) = (callback for callback in trainer.callbacks if isinstance(callback, Recorder))
        if recorder.done == self.iteration:
            raise self.error
