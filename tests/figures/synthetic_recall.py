"""Records of task 1.2 that no network made: the shapes and rough looks of real ones, written in milliseconds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.store_recall.config import AGES, TASK
from tests.figures.synthetic import write

TYPICAL = {  # iterations to 5 % error; none: never
    "bptt": 62,
    "e_prop_1": 105,
    "e_prop_1_symmetric": 84,
    "truncated_traces": None,
    "lif_only_bptt": None,
    "lif_only_e_prop_1": None,
    "e_prop_1_decoding": 105,
}
STORES, RECALLS = (1, 7), (5, 9)  # periods
READINGS = {"adaptation_silence": 3.2, "adaptation_values": 1.9, "trace_silence": 0.08, "trace_values": 0.9}  # s


def write_runs(
    where: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    variants: Iterable[str] = tuple(TYPICAL),
    profile: str = "paper",
    overrides: Mapping[str, str] | None = None,
    failed: bool = False,
    solved: Mapping[str, int | None] | None = None,
) -> None:
    """Write one record for each variant and seed, as a run of `profile` would; `solved` replaces `TYPICAL`."""
    for variant in variants:
        for seed in seeds:
            config = TASK.resolve(variant, profile, overrides)
            rng = np.random.default_rng([seed, *variant.encode()])
            arrays = {} if failed else make_arrays(config, rng)
            metrics = {} if failed else make_metrics(config, (TYPICAL | dict(solved or {}))[variant], rng)
            write(TASK, where, variant, profile, seed, config, metrics, arrays)


def make_metrics(config: Any, solved: int | None, rng: np.random.Generator) -> dict[str, float]:
    """The final numbers of a run that takes about `solved` iterations, or never gets there."""
    took = config.iterations if solved is None else round(solved * np.exp(0.25 * rng.normal()))
    never = solved is None or took >= config.iterations
    return {"iterations": float(min(took, config.iterations)), "iterations_at_least": float(never), "delay_s": 0.7}


def make_arrays(config: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The arrays of one run."""
    return make_example(config, rng) | (make_decoding(config, rng) if config.decode else {})


def make_example(config: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One trial: two bits stored and recalled."""
    periods, width = config.trial_ms // config.period_ms, config.period_ms
    stores, recalls = (np.isin(np.arange(periods), commands) for commands in (STORES, RECALLS))
    value, target = rng.integers(2, size=periods), np.full(periods, -1)
    for store, recall in zip(STORES, RECALLS, strict=True):
        target[recall] = value[store]
    active = np.stack([(value == 0) & ~recalls, (value == 1) & ~recalls, stores, recalls])
    chance = 0.05 * active.repeat(config.group_channels, axis=0).repeat(width, axis=1)
    a = np.zeros((config.n_alif, config.trial_ms))
    held = np.cumsum(stores.astype(int) - recalls).repeat(width) + recalls.repeat(width)
    for t in range(1, config.trial_ms):
        a[:, t] = a[:, t - 1] * np.exp(-1 / config.tau_a_ms) + (rng.random(config.n_alif) < 0.004 + 0.03 * held[t])
    rates = rng.uniform(0.005, 0.06, config.n_rec)[:, None] * np.ones(config.trial_ms)
    logit = np.repeat(np.where(target < 0, 0, 6 * target - 3), width) + np.cumsum(rng.normal(0, 0.05, config.trial_ms))
    one = 1 / (1 + np.exp(-logit))
    return {
        "example_inputs": (rng.random(chance.shape) < chance).astype(np.uint8),
        "example_spikes": (rng.random(rates.shape) < rates).astype(np.uint8),
        "example_thresholds": (config.v_th + config.beta * a).astype(np.float16),
        "example_probability": np.stack([1 - one, one], axis=1).astype(np.float16),
        "example_value": value.astype(np.int8),
        "example_store": stores.astype(np.int8),
        "example_recall": recalls.astype(np.int8),
        "example_target": target.astype(np.int8),
    }


def make_decoding(config: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Decoding accuracies that fall to chance, later with age."""
    delay = np.arange(50.0, 5951.0, 50.0)
    ages = [max(1, age * config.iterations // AGES[-1]) for age in AGES]
    found = {"decode_ages": np.array(ages), "decode_delay_ms": delay}
    for reading, last in READINGS.items():
        mean = [0.5 + 0.5 / (1 + np.exp((delay / 1000 - last * part) / 0.5)) for part in (0.3, 0.65, 1.0)]
        found[f"decode_{reading}"] = (rng.binomial(50, np.array(mean)) / 50).astype(np.float32)
    return found
