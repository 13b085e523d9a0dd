"""Before anything is timed: do all contenders compute the same? In float32, at the settled weights."""

from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from benchmarks import eager
from benchmarks.contenders import eager_loss, jax_is_here, jax_problem, jax_spikes
from benchmarks.problem import Problem, claimed
from repro.errors import RunFailed

SAME_MS = 200  # rounding in another order may move a spike later in the trial, never so early
SAME_COUNT = 0.02  # share of all spikes, and of the trials of a batch
SAME_GRADIENT = 1e-3  # largest difference over the largest entry; 1e-6 where no spike has moved


class Agreement(TypedDict):
    """Who computed the same batch as ours, which spikes were the same, at what firing rate, and the largest difference
    of gradients, over the largest entry."""

    who: list[str]
    spikes: str
    rate_hz: float
    gradient: float


def check(problem: Problem) -> Agreement:
    """Compare one batch of all. Raises RunFailed when a contender computes something else."""
    config, trial = problem.config(), problem.trial
    module = problem.module(config)
    z = module.network.simulate(trial.inputs)[0].z
    with torch.no_grad():
        others = {"eager": eager.spikes(module.network, problem.dense_inputs)}
    claimed(module, config).loss(module, trial, 0).loss.backward()
    ours, by_eager = _gradients(module), problem.module(config)
    eager_loss(by_eager, problem, e_prop=True).backward()
    gradients = {"eager": _gradients(by_eager)}
    if jax_is_here():
        others["JAX"], gradients["JAX"] = by_jax(problem)
    same = [_spikes(who, z, other) for who, other in others.items()]
    return Agreement(
        who=list(others),
        spikes="every spike" if all(same) else f"every spike of the first {SAME_MS} ms (all to {SAME_COUNT:.0%})",
        rate_hz=float(z.mean()) * 1000 / config.dt_ms,
        gradient=max(_gradient(who, ours, other) for who, other in gradients.items()),
    )


def _gradients(module: Any) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in module.network.named_parameters()}


def by_jax(problem: Problem) -> tuple[Tensor, dict[str, Tensor]]:
    """JAX's spikes [batch, time, neuron] and gradients by name."""
    import jax

    weights, inputs, target, loss = jax_problem(problem)
    z = jax.jit(jax_spikes(problem))(weights, inputs)
    gradients = jax.jit(jax.grad(loss))(weights, inputs, target)
    return torch.from_numpy(np.array(z)).transpose(0, 1), {
        k: torch.from_numpy(np.array(g)) for k, g in gradients.items()
    }


def _spikes(who: str, ours: Tensor, theirs: Tensor) -> bool:
    """Whether all spikes [batch, time, neuron] are the same; RunFailed where more differ than rounding explains."""
    differs = (ours != theirs)[:, :SAME_MS].flatten(1).any(dim=1)
    if (
        differs.float().mean() > SAME_COUNT
        or abs(ours.sum() - theirs.sum()) > SAME_COUNT * ours.sum()
        or not ours.any()
    ):
        raise RunFailed(f"{who} does not spike like ours: {theirs.sum():.0f} spikes, ours {ours.sum():.0f}; not timed")
    return torch.equal(ours, theirs)


def _gradient(who: str, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """Largest relative difference over all weights."""
    found = [float((ours[k] - theirs[k]).abs().max() / theirs[k].abs().max()) for k in ours]
    if not max(found) < SAME_GRADIENT:
        raise RunFailed(f"the gradient of {who} is not ours: they differ by {max(found):.0e}; not timed")
    return max(found)
