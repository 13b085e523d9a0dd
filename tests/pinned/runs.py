"""Trains a pinned run by the public entrance, and keeps of it what is compared."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from repro.records import store
from repro.records.record import RunRecord, read_arrays
from repro.training.run import run
from tasks import get_task
from tests.pinned.cases import SEED, Case

Pinned = dict[str, Any]
DIGITS = 9  # of every float: float32 has 7 and a bit
UNPINNED = {"online_growth", "online_bptt_growth"}  # bytes of memory, which another way to compute the same may need
FROZEN = {"readout_only"}  # the one algorithm that leaves parameters as they were drawn


@contextlib.contextmanager
def workplace(root: Path) -> Iterator[Path]:
    """A fresh results folder with a text in it; W&B off, no licensed data, and one thread."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        for name in ("TIMIT_DIR", "PTB_DIR"):
            patch.delenv(name, raising=False)
        patch.setattr(store, "ROOT", root)
        write_text(root / "data" / "text")
        torch.set_num_threads(1)
        try:
            yield root
        finally:
            torch.set_num_threads(threads)


def write_text(folder: Path) -> None:
    """A text of sixteen words in three splits, where `repro data text` would put it.

    A word is one of three that follow the word before; which one, a linear congruential generator says. Training names
    all words first, so that no other split has a word that it lacks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number, word = 1, 0
    for split, lines in (("training", 60), ("validation", 24), ("test", 24)):
        text = [" ".join(f"word{k}" for k in range(16))] if split == "training" else []
        for _ in range(lines):
            line = []
            for _ in range(8):
                number = (1103515245 * number + 12345) % 2**31
                word = (5 * word + 1 + (number >> 16) % 3) % 16
                line.append(f"word{word}")
            text.append(" ".join(line))
        (folder / f"{split}.txt").write_text("".join(f"{line}\n" for line in text), encoding="ascii")


class GradientNorms(pl.Callback):
    """Watches a run: the L2 norm of each parameter's gradient, as a mean over all updates, and whether it moved.

    Adam hides a gradient that is off by a factor, and so does the loss of a run that Adam trains.
    """

    def __init__(self) -> None:
        self.norms: dict[str, list[float]] = {}
        self.start: dict[str, torch.Tensor] = {}
        self.still: set[str] = set()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = {name: p.detach().clone() for name, p in learning(pl_module)}

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        for name, parameter in learning(pl_module):
            norm = 0.0 if parameter.grad is None else float(parameter.grad.double().norm())
            self.norms.setdefault(name, []).append(norm)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.still = {name for name, p in learning(pl_module) if torch.equal(p, self.start[name])}

    def means(self) -> list[float]:
        """Largest first, without names: a parameter may be renamed."""
        return sorted((float(np.mean(norms)) for norms in self.norms.values()), reverse=True)


def learning(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """Parameters by name, but those that are kept as they are."""
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def measure(case: Case, root: Path) -> Pinned:
    """Train (or measure) one run, and return what is pinned of it: config, series, metrics, gradient norms.

    Raises AssertionError where a parameter did not learn: such a run would pin nothing of it.
    """
    watch = GradientNorms()
    out = root / "runs"
    record = run(get_task(case.task), case.variant, "smoke", SEED, case.settings, out=out, callbacks=[watch])
    assert record.status == "finished"
    if record.config.get("algorithm") not in FROZEN:
        assert not watch.still, f"{case.task} {case.name}: nothing changed {sorted(watch.still)}"
        assert all(max(norms) > 0 for norms in watch.norms.values())
    (folder,) = out.glob(f"{case.task}/{case.variant}-{record.config_hash}/seed-*")
    pinned = {
        "config": dict(record.config),
        "series": series(record, read_arrays(folder, record)),
        "metrics": {n: rounded(value) for n, value in sorted(record.metrics.items()) if n not in UNPINNED},
    }
    return pinned | ({"gradient_norms": [rounded(norm) for norm in watch.means()]} if watch.norms else {})


def series(record: RunRecord, arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, list[float]]:
    """All arrays of numbers but those that only a figure draws; of a measurement, maps too, flattened."""
    maps = not get_task(record.task).module
    return {
        name: [rounded(float(x)) for x in values.ravel()]
        for name, values in sorted(arrays.items())
        if not name.startswith(("example_", "snapshot_")) and values.dtype.kind == "f" and (maps or values.ndim == 1)
    }


def rounded(value: float) -> float:
    """The nearest float of so many digits: short in JSON."""
    return float(f"{value:.{DIGITS}g}")


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Values agree within `relative` of the pinned one, or `absolute`."""

    relative: float = 1e-5
    absolute: float = 1e-9  # identities of the task "theory" hold to about 1e-13; nothing else is as small

    def allows(self, pinned: float, measured: float) -> bool:
        """Whether two values agree. NaN agrees with NaN."""
        return bool(np.isclose(measured, pinned, self.relative, self.absolute, equal_nan=True))


def differences(pinned: Pinned, measured: Pinned, tolerance: Tolerance = Tolerance()) -> list[str]:
    """One line for each thing that differs: its name, the first iteration at which it does, and both values."""
    lines = [
        f"config {key}: pinned {value!r}, now {measured['config'].get(key)!r}"
        for key, value in pinned["config"].items()
        if measured["config"].get(key) != value
    ]
    for kind in ("series", "metrics"):
        lines += [f"{kind} {name}: pinned, now missing" for name in pinned[kind].keys() - measured[kind].keys()]
    for name, values in pinned["series"].items():
        lines += _first(f"series {name}, iteration", values, measured["series"].get(name, values), tolerance)
    for name, value in pinned["metrics"].items():
        now = measured["metrics"].get(name, value)
        if not tolerance.allows(value, now):
            lines.append(f"metric {name}: pinned {value}, now {now}")
    if "gradient_norms" in pinned:
        lines += _first("gradient norm", pinned["gradient_norms"], measured.get("gradient_norms", []), tolerance)
    return lines


def _first(what: str, pinned: list[float], measured: list[float], tolerance: Tolerance) -> list[str]:
    for place, (value, now) in enumerate(zip(pinned, measured, strict=False), 1):
        if not tolerance.allows(value, now):
            return [f"{what} {place}: pinned {value}, now {now}"]
    return [] if len(pinned) == len(measured) else [f"{what}s: pinned {len(pinned)}, now {len(measured)}"]
