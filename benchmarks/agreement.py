"""Before anything is timed: do all contenders compute the same?

First in float64, of a few trials, where a difference is a mistake: gradients equal those of plain eager torch. Then in
float32, as they are timed, where rounding in another order may move a spike, and one that has moved moves others; but
for one-shot learning, in which rounding that moves one spike of the training trial gives every weight of the test trial
other digits.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from benchmarks import eager
from benchmarks.contenders import Gradients, build
from benchmarks.names import (
    CELL,
    CONTENDERS,
    EAGER,
    EAGER_E_PROP,
    IN_LIGHTNING,
    PRINTED,
    PRINTED_TRACES,
    STOCK,
    UNROLLED,
    UNROLLED_LINEAR,
    needs_jax,
)
from benchmarks.problem import Problem
from benchmarks.windows import WindowProblem
from repro.errors import RunFailed

REFERENCES = {
    CONTENDERS[name].variant: name
    for name in (EAGER, EAGER_E_PROP, UNROLLED, UNROLLED_LINEAR, CELL, PRINTED, PRINTED_TRACES)
}
EXACT, FEW = 1e-9, 2  # largest difference of float64 gradients over the largest entry, of so many trials
SINGLE = 1e-3  # the same in float32; 1e-5 where no spike has moved
SAME_MS = 200  # rounding in another order may move a spike later in the trial, hardly ever so early
SAME_TRIALS = 0.1  # share of a batch that may differ so early
SAME_COUNT = 0.02  # share of all spikes


class Agreement(TypedDict):
    """Who was compared, on how many trials; the firing rate (None where nothing fires); the largest difference of
    gradients over their largest entry in float64, and in float32 (None where that was not compared); in which trials
    all spikes were the same in float32."""

    who: list[str]
    trials: int
    rate_hz: float | None
    exact: float
    single: float | None
    spikes: str


def check(problem: Problem, who: Iterable[str]) -> Agreement:
    """Compare the gradients of all. Raises RunFailed where a contender's differ from the reference's."""
    names = [name for name in who if not name.endswith(IN_LIGHTNING)]
    few = tuple(range(min(FEW, problem.size.get("batch_size", 1))))
    exact = compare(dataclasses.replace(problem, trials=few, exact=True), names, EXACT)
    single, spikes, rate_hz = None, "", None
    if isinstance(problem, WindowProblem):
        single = compare(problem, names, SINGLE)
    else:
        rate_hz = rate(problem)
        if problem.has_rule:
            chosen, spikes = same_trials(problem, names)
            single = compare(chosen, names, SINGLE)
    return Agreement(who=names, trials=len(few), rate_hz=rate_hz, exact=exact, single=single, spikes=spikes)


def compare(problem: Problem, names: Sequence[str], limit: float) -> float:
    """The largest difference between a contender's gradients and those of its reference. Raises RunFailed where it
    reaches `limit`."""
    references: dict[str, list[Gradients]] = {}
    largest = 0.0
    for name in names:
        variant = CONTENDERS[name].variant
        chosen, key = problem, variant
        if name == STOCK and isinstance(problem, WindowProblem) and problem.task == "copy_repeat":
            chosen, key = dataclasses.replace(problem, readings={"squash": "true"}), "squash"  # its h = o tanh(c)
        if key not in references:
            references[key] = build(REFERENCES[variant], chosen).gradients()
        difference = difference_of(name, build(name, chosen).gradients(), references[key])
        if not difference < limit:
            raise RunFailed(f"the gradient of {name} is not eager's: they differ by {difference:.0e}; not timed")
        largest = max(largest, difference)
    return largest


def difference_of(name: str, gradients: Sequence[Gradients], reference: Sequence[Gradients]) -> float:
    """The largest in any window, over the reference's largest entry of each weight; of those whose gradient is zero,
    the difference. Raises RunFailed where a weight of the reference has none."""
    worst = 0.0
    for mine, theirs in zip(gradients, reference, strict=True):
        if missing := set(theirs) - set(mine):
            raise RunFailed(f"{name} has no gradient of {', '.join(sorted(missing))}; not timed")
        for weight, expected in theirs.items():
            expected = expected.to_dense()
            difference = float((mine[weight].to_dense() - expected).abs().max()) / (float(expected.abs().max()) or 1.0)
            worst = difference if not difference <= worst else worst  # nan stays
    return worst


def same_trials(problem: Problem, names: Sequence[str]) -> tuple[Problem, str]:
    """The problem of those trials in which eager torch, JAX and ours emit the same spikes in float32; or all trials, if
    they differ late in each. Raises RunFailed where more spikes differ than rounding explains."""
    z, others = simulated(problem), {"eager": eager_spikes(problem)}
    if any(needs_jax(name) for name in names):
        others["JAX"] = spikes_by_jax(problem)
    same = torch.stack([_same(who, z, other) for who, other in others.items()]).all(dim=0)
    if same.all():
        return problem, "every spike"
    if not same.any():
        return problem, f"every spike of the first {SAME_MS} ms (all to {SAME_COUNT:.0%})"
    chosen = dataclasses.replace(problem, trials=tuple(same.nonzero()[:, 0].tolist()))
    return chosen, f"every spike of {int(same.sum())} of the {len(z)} trials (whose gradients were compared)"


def _same(who: str, ours: Tensor, theirs: Tensor) -> Tensor:
    """In which trials [batch] all spikes [batch, time, neuron] are the same."""
    differs = ours != theirs
    early = differs[:, :SAME_MS].flatten(1).any(dim=1)
    if early.float().mean() > SAME_TRIALS or abs(ours.sum() - theirs.sum()) > SAME_COUNT * ours.sum() or not ours.any():
        raise RunFailed(f"{who} does not spike like ours: {theirs.sum():.0f} spikes, ours {ours.sum():.0f}; not timed")
    return ~differs.flatten(1).any(dim=1)


def simulated(problem: Problem) -> Tensor:
    """Our spikes [batch, time, neuron], of each direction in its own order of time."""
    trial, network = problem.trial, problem.module(problem.config()).network
    with torch.no_grad():
        z: Any = network(trial.inputs, lengths=getattr(trial, "lengths", None))[1]
    return torch.cat(z, dim=2) if isinstance(z, tuple) else z


def rate(problem: Problem) -> float:
    """The mean firing rate [Hz] of the network."""
    config = problem.config()
    if problem.has_rule:
        return float(simulated(problem).mean()) * 1000 / config.dt_ms
    return float(problem.module(config).training_step(problem.trial, 0)["metrics"]["rate_hz"])


@torch.no_grad()
def eager_spikes(problem: Problem) -> Tensor:
    """The same as `simulated`, by a loop over time."""
    return torch.cat(eager.all_spikes(problem.module(problem.config()).network, problem.dense_inputs), dim=2)


def spikes_by_jax(problem: Problem) -> Tensor:
    """The same by JAX."""
    import jax

    from benchmarks import jax_contenders, scan

    module = problem.module(problem.config())
    spikes = scan.make_spikes(module.network.layer.neuron, jax_contenders.beta_of(module.network))
    inputs = jax_contenders.data_of(problem)[0]
    return torch.from_numpy(np.array(jax.jit(spikes)(jax_contenders.weights_of(module), inputs))).transpose(0, 1)
