"""Records of task 3.2 that no network made: the shapes and rough looks of real ones, written in milliseconds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from repro.runs.config import Value
from tasks.word_prediction.config import TASK
from tests.figures.synthetic import write

TYPICAL = {  # test perplexity after all epochs
    "bptt_20": 113.5,
    "bptt_4": 121.5,
    "synthetic_gradients": 118.5,
    "bptt_4_traces": 116.0,
    "e_prop_1": 115.5,
    "e_prop_3": 113.0,
    "e_prop_3_truncated_traces": 122.0,
    "bptt_20_two_layers": 114.0,
}
PAPER: Mapping[str, Value] = {"corpus": "ptb"}
STAND_IN = next(values for values in TASK.substitutes.values() if values == {"corpus": "stand_in"})
TEXT = (
    "no it was n't black monday <eos> but while the new york stock exchange did n't fall apart friday as the dow "
    "jones industrial average plunged N points"
)


def write_runs(
    where: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    variants: Iterable[str] = tuple(TYPICAL),
    profile: str = "quick",
    data: Mapping[str, Value] = PAPER,
    failed: bool = False,
    epochs: int | None = None,
    text: str = TEXT,
) -> None:
    """Write one record for each variant and seed, as a run of `profile` would; after `epochs`, if given, it was
    recorded unfinished."""
    for variant in variants:
        for seed in seeds:
            config = TASK.resolve(variant, profile, data=data)
            rng = np.random.default_rng([seed, *variant.encode()])
            done, reached = epochs or config.iterations, TYPICAL[variant] + 0.2 * rng.normal()
            arrays = {} if failed else make_curves(config, reached, done, rng)
            metrics, came = {} if failed else make_metrics(arrays), f"{done} of {config.iterations} iterations"
            if arrays and not epochs:
                arrays |= make_example(text, rng)
            write(TASK, where, variant, profile, seed, config, metrics, arrays, came if epochs else "")


def make_metrics(arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The final numbers of a run."""
    test, valid = (float(arrays[f"{name}_perplexity"][-1]) for name in ("test", "valid"))
    return {"perplexity": test, "test_perplexity": test, "valid_perplexity": valid,
            "epochs": float(len(arrays["loss"])), "unk": 0.05}  # fmt: skip


def make_curves(config: Any, reached: float, epochs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Perplexities that fall to `reached` in all the epochs of the config; the first `epochs` of them."""
    epoch = np.arange(1, config.iterations + 1)
    fall = reached * np.exp(0.7 * np.exp(-2.5 * (epoch - 1) / config.iterations) + 0.002 * rng.normal(size=len(epoch)))
    test = (fall * reached / fall[-1])[:epochs]
    rate = (config.learning_rate * config.decay_factor ** np.maximum(epoch - config.full_epochs, 0.0))[:epochs]
    return {"test_perplexity": test, "valid_perplexity": 1.04 * test, "loss": 0.8 * test, "learning_rate": rate}


def make_example(text: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A stretch of text, the words after the first more or less likely."""
    words = text.split()
    probability = np.clip(np.exp(rng.normal(-4, 2.5, size=len(words) - 1)), 1e-7, 0.98)
    return {"example_words": np.array(words), "example_probability": probability.astype(np.float32)}
