"""Records of task 3.1 that no network made: the shapes and rough looks of real ones, written in milliseconds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.copy_repeat.config import TASK
from tests.figures.synthetic import write

LADDER = (5, 7, 9, 12, 15, 19, 23, 28, 33, 39, 45, 52, 59, 67, 75, 84)  # lengths, level by level
TYPICAL = {  # the last rung that is solved, and after which share of the iterations
    "bptt_4": (3, 0.1),
    "synthetic_gradients": (4, 0.2),
    "e_prop_1": (6, 0.3),
    "bptt_full": (9, 0.4),
    "bptt_4_traces": (8, 0.35),
    "e_prop_3": (12, 0.9),
    "e_prop_3_truncated_traces": (5, 0.25),
}
BITS = 8


def write_runs(
    where: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    variants: Iterable[str] = tuple(TYPICAL),
    profile: str = "quick",
    failed: bool = False,
    rungs: Mapping[str, tuple[int, float]] | None = None,
    iterations: int | None = None,
) -> None:
    """Write one record for each variant and seed, as a run of `profile` would; `rungs` replaces `TYPICAL`, and a rung
    of -1 is none; after `iterations`, if given, it was recorded unfinished."""
    for variant in variants:
        for seed in seeds:
            config = TASK.resolve(variant, profile, data={})
            rng = np.random.default_rng([seed, *variant.encode()])
            last, share = (TYPICAL | dict(rungs or {}))[variant]
            rung = last if last < 0 else max(0, last + int(rng.integers(-1, 2)))
            arrays = {} if failed else make_curves(config, rung, share, rng)
            came = f"{iterations} of {config.iterations} iterations" if iterations else ""
            if iterations:
                arrays = {name: series[:iterations] for name, series in arrays.items()}
            elif arrays:
                arrays |= make_example(rung, rng)
            metrics = {} if failed else make_metrics(arrays["length_solved"])
            write(TASK, where, variant, profile, seed, config, metrics, arrays, came)


def make_metrics(length_solved: np.ndarray) -> dict[str, float]:
    """The final numbers of a run."""
    last = length_solved[-1]
    after = int(np.argmax(length_solved == last)) + 1 if last else 0
    rung = float(LADDER.index(last)) if last else -1.0
    flattened = float(bool(last) and after <= len(length_solved) / 2)
    return {"length_solved": float(last), "solved_after": float(after), "sequences_solved_rung": rung,
            "flattened": flattened}  # fmt: skip


def make_curves(config: Any, rung: int, share: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The longest sequence solved: rung after rung at intervals that grow, the last after a share of the iterations."""
    curve = np.zeros(config.iterations)
    for k, at in enumerate(config.iterations * share * np.geomspace(0.02, rng.uniform(0.85, 1.1), max(rung + 1, 0))):
        curve[min(round(at), config.iterations - 1) :] = LADDER[k]
    length = np.concatenate([LADDER, [94]])[np.searchsorted(LADDER, curve, side="right")]
    return {"length_solved": curve, "length": length, "loss": 8 + rng.normal(size=config.iterations)}


def make_example(rung: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A sequence of the level of that rung, and an output that is nearly right where it is asked for."""
    pattern, repeats = (1 + (max(rung, 0) + 1) // 2, 1 + max(rung, 0) // 2)
    first, steps = pattern + 2, pattern * (repeats + 1) + 3
    bits = rng.integers(0, 2, size=(pattern, BITS))
    given, target = np.zeros((steps, BITS + 1)), np.full((steps, BITS + 1), np.nan)
    given[:pattern, :BITS], given[pattern, BITS], given[pattern + 1, repeats - 1] = bits, 1, 1
    target[first:] = 0
    target[first:-1, :BITS], target[-1, BITS] = np.tile(bits, (repeats, 1)), 1
    noise = np.clip(np.abs(rng.normal(0, 0.04, size=target.shape)), 0, 1)
    output = np.where(np.isnan(target), rng.uniform(0, 1, size=target.shape), np.abs(np.nan_to_num(target) - noise))
    found = {"input": given, "target": target, "output": output}
    return {f"example_{name}": np.asarray(values, np.float32) for name, values in found.items()}
