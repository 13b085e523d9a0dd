"""Records of task 1.3 that no network made: the shapes and rough looks of real ones, written in milliseconds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from repro.runs.config import Value
from tasks.speech.config import TASK
from tasks.speech.phones import INDEX
from tests.figures.synthetic import write

TYPICAL = {  # test accuracy
    "readout_only": 0.53,
    "e_prop_1": 0.63,
    "e_prop_1_variance_1_over_n": 0.60,
    "e_prop_1_symmetric": 0.655,
    "bptt": 0.675,
    "lstm_bptt": 0.71,
}
PAPER: Mapping[str, Value] = {}
(STAND_IN,) = TASK.substitutes.values()
SPOKEN = (
    "h# sh iy hv ae dcl d y er dcl d aa r kcl k s uw tcl t ix ng gcl g r iy s iy w aa sh epi w aa dx er ao l y ih er h#"
)
ROWS = 20  # neurons shown of a direction


def write_runs(
    where: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    variants: Iterable[str] = tuple(TYPICAL),
    profile: str = "quick",
    data: Mapping[str, Value] = STAND_IN,
    failed: bool = False,
    accuracy: Mapping[str, float] | None = None,
) -> None:
    """Write one record for each variant and seed, as a run of `profile` would; `accuracy` replaces `TYPICAL`."""
    for variant in variants:
        for seed in seeds:
            config = TASK.resolve(variant, profile, data=data)
            rng = np.random.default_rng([seed, *variant.encode()])
            reached = (TYPICAL | dict(accuracy or {}))[variant] + 0.004 * rng.normal()
            arrays = {} if failed else make_curves(config, reached, rng) | make_example(config, rng)
            metrics = {} if failed else make_metrics(config, reached, arrays["validation_accuracy"])
            write(TASK, where, variant, profile, seed, config, metrics, arrays)


def make_metrics(config: Any, reached: float, validation: np.ndarray) -> dict[str, float]:
    """The final numbers of a run."""
    best = int(validation.argmax())
    return {
        "accuracy": reached,
        "validation_accuracy": float(validation[best]),
        "accuracy_last": reached - 0.002,
        "best_epoch": (best + 1) * config.epochs / config.evaluations,
        "rate_hz": 11.0,
    }


def make_curves(config: Any, reached: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Accuracies that rise to `reached`, one an evaluation."""
    epoch = (np.arange(config.evaluations) + 1) * config.epochs / config.evaluations
    rise = reached * (1 - 0.5 * np.exp(-epoch / (0.15 * config.epochs)))
    noise = 0.004 * rng.normal(size=(2, len(epoch)))
    loss = np.linspace(3.0, 1.0, config.iterations)
    return {
        "evaluated_after": epoch * config.train_utterances / config.batch_size,
        "validation_accuracy": rise + noise[0] + 0.01,
        "test_accuracy": rise + noise[1],
        "loss": loss,
        "rate_hz": 11 + rng.normal(size=config.iterations),
    }


def make_example(config: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One utterance of about two seconds; a network that is right in two frames of three."""
    spoken = [INDEX[phone] for phone in SPOKEN.split()]
    labels = np.repeat(spoken, rng.integers(2, 9, size=len(spoken)))
    named = labels.copy()
    for start in rng.integers(len(labels), size=len(labels) // 8):
        named[start : start + 4] = rng.integers(len(INDEX))
    tone = rng.uniform(5, 35, size=(len(INDEX), 2))[labels].T[:, None]
    mel = np.arange(40)[None, :, None]
    power = np.exp(-((mel - tone) ** 2) / 12).sum(0) + 0.02 * rng.random((40, len(labels)))
    decibel = 10 * np.log10(power / power.max())
    found = {
        "example_spectrogram": np.maximum(decibel, -70).astype(np.float16),
        "example_labels": labels.astype(np.int8),
        "example_predicted": named.astype(np.int8),
    }
    if config.model == "lstm":
        return found
    rates = 0.03 * np.exp(0.8 * rng.normal(size=(2 * ROWS, 1))) * (1 + np.sin(np.arange(len(labels)) / 5)) / 2
    spikes = rng.random((2 * ROWS, config.frame_steps * len(labels))) < rates.repeat(config.frame_steps, axis=1)
    return found | {"example_spikes": spikes.astype(np.uint8)}
