"""Records of task 2.1 that no network made: the shapes and rough looks of real ones, written in milliseconds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.arm_reaching.config import TASK
from tests.figures.synthetic import write

TYPICAL = {  # error of the tip in test trials, and in training trials
    "e_prop_2_spiking": (0.012, 0.19),
    "e_prop_2_linear": (0.016, 0.20),
    "e_prop_2_truncated_traces": (0.013, 0.18),
    "no_inner_update": (0.15, 0.15),
}
AT_REST = 0.16
MSE = ("test_mse", "training_mse")
ROWS = 40  # neurons shown of each network


def write_runs(
    where: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    variants: Iterable[str] = tuple(TYPICAL),
    profile: str = "quick",
    overrides: Mapping[str, str] | None = None,
    failed: bool = False,
) -> None:
    """Write one record for each variant and seed, as a run of `profile` would."""
    for variant in variants:
        for seed in seeds:
            config = TASK.resolve(variant, profile, overrides)
            rng = np.random.default_rng([seed, *variant.encode()])
            reached = {name: mse * np.exp(0.1 * rng.normal()) for name, mse in zip(MSE, TYPICAL[variant], strict=True)}
            arrays = {} if failed else make_curves(config, reached, rng) | make_example(config, reached, seed, rng)
            metrics = {} if failed else make_metrics(config, reached)
            write(TASK, where, variant, profile, seed, config, metrics, arrays)


def make_metrics(config: Any, reached: Mapping[str, float]) -> dict[str, float]:
    """The final numbers of a run."""
    found = {**reached, "motor_mse": 20.0, "at_rest_mse": AT_REST, "rate_hz": 21.0}
    if config.inner_update and config.error_module == "spiking":
        found |= {"module_rate_hz": 9.0, "module_rate_training_hz": 11.0, "module_rate_test_hz": 7.0}
    return found


def make_curves(config: Any, reached: Mapping[str, float], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Errors that fall from a random network's towards `reached`, one an iteration."""
    iteration = np.arange(1, config.iterations + 1)
    fall = (1 + iteration / (0.02 * config.iterations)) ** -1.5
    noise = np.exp(rng.normal(size=(2, len(iteration))) / np.sqrt(config.batch_size))
    curves = {name: (mse + 0.2 * fall) * wave for (name, mse), wave in zip(reached.items(), noise, strict=True)}
    return {**curves, "loss": 3.0 + fall, "motor_mse": 20 + 20 * fall, "rate_hz": 20 + rng.normal(size=len(iteration))}


def make_example(
    config: Any, reached: Mapping[str, float], seed: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """One movement of the arm, the same in all variants of a seed, and two attempts at it."""
    time = np.arange(config.trial_ms) / config.trial_ms
    wave = np.random.default_rng(seed).uniform(0, 1, (3, 2))
    wanted = np.sin(2 * np.pi * (time[:, None] * (0.7 + wave[0]) + wave[1])) * (4 + 6 * wave[2])
    target, elbow = reach(wanted)
    wrong = [np.sqrt(max(mse - 0.003, 1e-4) / AT_REST) for mse in (reached["training_mse"], reached["test_mse"])]
    drift = 0.3 * rng.normal(size=(2, config.trial_ms, 2))
    velocities = np.stack([(1 - share) * wanted for share in wrong]) + drift
    rates = 0.02 * np.exp(0.8 * rng.normal(size=(2, ROWS, 1)))
    found = {
        "target": target,
        "target_elbow": elbow,
        "target_velocities": wanted,
        "tip": np.stack([reach(trial)[0] for trial in velocities]),
        "velocities": velocities,
        "inputs": np.kron(np.eye(5), np.tile(np.eye(10)[0], (config.n_in // 5, config.trial_ms // 50))),
        "spikes": rng.random((2, min(ROWS, config.n_rec), config.trial_ms)) < rates[:, : min(ROWS, config.n_rec)],
    }
    if config.inner_update:
        shown = 0 if config.error_module == "linear" else min(ROWS, config.n_module)
        found["module_spikes"] = rng.random((2, shown, config.trial_ms)) < rates[:, :shown] / 2
        walk = rng.normal(size=(2, config.trial_ms, 10)).cumsum(1) / np.sqrt(config.trial_ms)
        found["signals"] = walk * np.array([1.0, 0.4])[:, None, None]
    kinds = {"inputs": np.uint8, "spikes": np.uint8, "module_spikes": np.uint8}
    return {f"example_{name}": np.asarray(values, kinds.get(name, np.float32)) for name, values in found.items()}


def reach(velocities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tip and elbow [time, (x, y)] of an arm that starts as in the paper; velocities [time, joint] in rad/s."""
    first, second = (np.array([0, np.pi / 2]) + velocities.cumsum(0) / 1000).cumsum(1).T
    elbow = 0.5 * np.stack([np.cos(first), np.sin(first)], axis=1)
    return elbow + 0.5 * np.stack([np.cos(second), np.sin(second)], axis=1), elbow
