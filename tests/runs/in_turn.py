"""Runs made one after the other in one process; imported before the process is forked."""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

import repro.runs.run as running
from repro.records.record import RunRecord
from repro.runs.isolation import isolated
from repro.runs.registry import get_task

FAILS, DRAWS = "fails", "draws from torch's global generator"


class Noise(pl.Callback):
    """Adds noise to the weights: no task of ours draws from the global generator."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for parameter in pl_module.parameters():
            parameter.data += 0.01 * torch.rand_like(parameter)


RUNS: dict[str, tuple[str, str, Mapping[str, str]]] = {  # task, variant, settings
    "e-prop 1": ("pattern_generation", "e_prop_1", {}),
    "BPTT": ("pattern_generation", "bptt", {}),
    DRAWS: ("pattern_generation", "e_prop_1_symmetric", {}),
    "store-recall": ("store_recall", "e_prop_1", {}),
    "copy-repeat": ("copy_repeat", "e_prop_3", {}),
    "words": ("word_prediction", "e_prop_1", {}),
    "theory": ("theory", "measured", {}),
}
SPOILERS: dict[str, Callable[[], object]] = {
    "seed": lambda: torch.manual_seed(3),
    "numpy's seed": functools.partial(np.random.seed, 3),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "no gradients": lambda: torch.set_grad_enabled(False),
    "environment": lambda: os.environ.update(PTB_DIR="/nowhere"),
    "folder": lambda: os.chdir("/"),
}


def in_turn(out: Path, names: Sequence[str], isolate: bool) -> None:
    """Make these runs into a folder, and write their hashes and metrics to a file there."""
    numbers = []
    for name in names:
        with isolated() if isolate else contextlib.nullcontext():
            numbers.append(_made(out, name))
    (out / "numbers.json").write_text(json.dumps(numbers))


def _made(out: Path, name: str) -> dict[str, Any]:
    try:
        if name in SPOILERS:
            SPOILERS[name]()
            return {}
        task, variant, settings = RUNS.get(
            name, ("pattern_generation", "e_prop_1", {"v_th": "1e6", "iterations": "25"})
        )
        callbacks = [Noise()] if name == DRAWS else []
        return _numbers(running.run(get_task(task), variant, "smoke", 0, settings, out, "cpu", callbacks, loggers=()))
    except Exception as error:
        return {"error": str(error)}


def _numbers(record: RunRecord) -> dict[str, Any]:
    """Without metrics that measure the machine: bytes of memory."""
    metrics = {name: value for name, value in record.metrics.items() if "growth" not in name}
    return {"weights": record.weights_sha256 or "none", "metrics": metrics, "status": record.status}
