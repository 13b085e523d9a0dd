"""Records that no network made, and those of task 1.1: shapes and rough looks of real ones, written in milliseconds."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from repro.records.arrays import pack_arrays
from repro.records.record import RunRecord, write_record
from repro.records.store import run_folder
from repro.runs.config import config_hash
from repro.runs.task import Task
from tasks.pattern_generation.config import TASK

FLOORS = {
    "bptt": 0.004,
    "e_prop_1": 0.010,
    "e_prop_1_symmetric": 0.009,
    "clopath": 0.013,
    "binary": 0.028,
    "no_recurrence": 0.24,
    "global_signal": 0.51,
    "resampled_20ms": 0.03,
    "resampled_1ms": 0.09,
}


def write_runs(
    where: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    variants: Iterable[str] = tuple(FLOORS),
    profile: str = "paper",
    overrides: Mapping[str, str] | None = None,
    failed: bool = False,
) -> None:
    """Write one record for each variant and seed, as a run of `profile` would."""
    for variant in variants:
        for seed in seeds:
            config = TASK.resolve(variant, profile, overrides)
            rng = np.random.default_rng([seed, *variant.encode()])
            arrays = {} if failed else make_arrays(config, FLOORS[variant], rng)
            last = config.final_trials
            metrics = {} if failed else {"nmse": float(arrays["nmse"][-last:].mean()), "rate_hz": 10.0}
            if arrays and config.iterations >= 500:
                metrics["nmse_500"] = float(arrays["nmse"][500 - last : 500].mean())
            write(TASK, where, variant, profile, seed, config, metrics, arrays)


def make_arrays(config: Any, floor: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The arrays of one run whose normalised mse falls towards `floor`."""
    steps, trials = config.trial_ms, np.arange(1, config.iterations + 1)
    noise = np.exp(0.12 * np.convolve(rng.normal(size=len(trials) + 4), np.ones(5) / 2, "valid"))
    spread = np.exp(0.25 * rng.normal())
    nmse = (floor * spread + 1.4 * (1 + trials / 12) ** -1.9) * noise
    snapshots = [trial for trial in (1, 100, 500) if trial <= config.iterations]
    time = np.arange(steps) / 1000
    amplitude, phase = rng.uniform(0.5, 2, (4, config.n_out)), rng.uniform(0, 2 * np.pi, (4, config.n_out))
    waves = np.sin(2 * np.pi * time[:, None, None] * np.array([[1], [2], [3], [5]]) + phase) * amplitude
    target = waves.sum(1) - waves.sum(1)[0]
    target /= np.abs(target).max(0)
    error = np.stack([_smooth(rng, (steps, config.n_out)) for _ in snapshots])
    scale = np.sqrt([nmse[trial - 1] for trial in snapshots])[:, None, None]
    rates = 0.01 * np.exp(0.8 * np.stack([_smooth(rng, (steps, 20)) for _ in snapshots]))
    clock = np.repeat(np.eye(5, dtype=np.uint8), config.n_in // 5, axis=1)
    gate = clock[np.minimum(np.arange(steps) * 5 // steps, 4)]
    return {
        "nmse": nmse,
        "loss": nmse / 5,
        "rate_hz": 10 + rng.normal(size=len(trials)),
        "snapshot_trials": np.array(snapshots),
        "target": target,
        "snapshot_readout": target + scale * target.std(0) * error,
        "snapshot_spikes": (rng.random(rates.shape) < rates).transpose(0, 2, 1).astype(np.uint8),
        "input_spikes": gate * (np.arange(steps) % 10 == 0)[:, None].astype(np.uint8),
    }


def _smooth(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Noise of unit variance that changes over some 20 ms; [time, channel]."""
    kernel = np.exp(-(np.linspace(-2, 2, 41) ** 2))
    columns = [np.convolve(column, kernel, "same") for column in rng.normal(size=shape[::-1])]
    noise = np.stack(columns, axis=1)[: shape[0]]
    return np.asarray(noise / noise.std())


def write(
    task: Task,
    where: Path,
    variant: str,
    profile: str,
    seed: int,
    config: Any,
    metrics: dict[str, float],
    arrays: dict[str, np.ndarray],
    unfinished: str = "",
) -> None:
    """Write one record; a run without arrays has failed, and one with `unfinished` has this as its progress."""
    folder = run_folder(task.name, variant, config_hash(config), seed, where)
    folder.mkdir(parents=True, exist_ok=True)
    packed = pack_arrays(arrays)
    record = RunRecord(
        task=task.name,
        variant=variant,
        profile=profile,
        seed=seed,
        config=dataclasses.asdict(config),
        config_hash=config_hash(config),
        status="unfinished" if unfinished else "finished" if arrays else "failed",
        reason=unfinished if arrays else "loss is NaN in trial 7",
        metrics=metrics,
        arrays_sha256=hashlib.sha256(packed).hexdigest(),
        weights_sha256="0" * 64,
        git_commit="0" * 40,
        git_dirty=False,
        versions={},
        device="cpu",
        threads=1,
        started="2019-02-21T00:00:00",
        wall_s=1.0,
    )
    write_record(folder, record, packed)
