"""Before anything is timed: do all contenders compute the same? At the settled weights; in float32, but for windows,
and for one-shot learning, where rounding that moves one spike in the training trial gives every weight of the test
trial other digits.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from benchmarks import batches, eager, one_shot
from benchmarks.catalogue import BENCHES, JAX
from benchmarks.contenders import eager_loss, jax_is_here, jax_problem, jax_spikes
from benchmarks.lstm import StockLSTM, TruncatedBPTT
from benchmarks.problem import VARIANT, Problem
from benchmarks.textbook import TextbookEProp3
from benchmarks.windows import WindowProblem
from repro.errors import RunFailed

SAME_MS = 200  # rounding in another order may move a spike later in the trial, hardly ever so early
SAME_TRIALS = 0.1  # share of a batch that may differ so early
SAME_COUNT = 0.02  # share of all spikes
SAME_GRADIENT = 1e-3  # largest difference over the largest entry; 1e-5 where no spike has moved
EXACT, FEW = 1e-9, 2  # the same in float64, of so many movements or sequences


class Agreement(TypedDict):
    """Who computed what as we do, what was the same, at what firing rate (None where nothing fires), and the largest
    difference of gradients (and of which), over the largest entry."""

    who: list[str]
    what: str
    same: str
    rate_hz: float | None
    gradients: str
    gradient: float


def check(problem: Problem) -> Agreement:
    """Compare one batch of all. Raises RunFailed when a contender computes something else.

    Gradients are those of the trials in which no spike has moved, if there are any: one that has moves others.
    """
    if isinstance(problem, WindowProblem):
        return check_windows(problem)
    if not problem.has_rule:
        return check_one_shot(problem)
    config, with_jax = problem.config(), jax_is_here() and JAX in BENCHES[problem.task].who
    z = simulated(problem)
    others = {"eager": eager_spikes(problem)} | ({"JAX": spikes_by_jax(problem)} if with_jax else {})
    same = torch.stack([_same(who, z, other) for who, other in others.items()]).all(dim=0)
    spikes = "every spike"
    if not same.any():
        spikes = f"every spike of the first {SAME_MS} ms (all to {SAME_COUNT:.0%})"
    elif not same.all():
        problem = dataclasses.replace(problem, trials=tuple(same.nonzero()[:, 0].tolist()))
        spikes = f"every spike of {int(same.sum())} of the {len(z)} trials (whose gradients were compared)"
    return Agreement(
        who=list(others),
        what="the same batch in float32",
        same=spikes,
        rate_hz=float(z.mean()) * 1000 / config.dt_ms,
        gradients="symmetric e-prop 1 and of BPTT",
        gradient=compare_gradients(problem, with_jax),
    )


def check_one_shot(problem: Problem) -> Agreement:
    """Compare losses and gradients of a few movements, with either error module. Raises RunFailed where they differ."""
    movements = min(FEW, problem.size["batch_size"])
    few = dataclasses.replace(problem, trials=tuple(range(movements)))
    batch, differences, rates = batches.doubled(few.trial), [], []
    for variant in ("e_prop_2_spiking", "e_prop_2_linear"):
        config = few.config(variant)
        module, by_eager = (few.module(config).double() for _ in range(2))
        ours, theirs = module.training_step(batch, 0), one_shot.loss(by_eager, batch, few.dense_inputs)
        if not abs(ours["loss"] - theirs) <= EXACT * abs(ours["loss"]):
            raise RunFailed(f"eager has the loss {theirs:.6g}, ours {ours['loss']:.6g}, with {variant}; not timed")
        ours["loss"].backward()
        theirs.backward()
        differences.append(_gradient("eager", _gradients(module), _gradients(by_eager), EXACT))
        rates.append(float(ours["metrics"]["rate_hz"]))
    return Agreement(
        who=["eager"],
        what=f"{movements} movements in float64",
        same="the loss",
        rate_hz=max(rates),
        gradients="the outer loop with either error module",
        gradient=max(differences),
    )


def check_windows(problem: WindowProblem) -> Agreement:
    """Compare losses and gradients of a few sequences, window after window. Raises RunFailed where they differ."""
    few = dataclasses.replace(problem, trials=tuple(range(min(FEW, problem.size["batch_size"]))))
    as_torch = {} if few.task == "word_prediction" else {"squash": "true"}  # its h = o tanh(c)
    differences = [
        compare_windows("torch.nn.LSTM", StockLSTM, few, few.config("bptt_4", **as_torch)),
        compare_windows("eager", TruncatedBPTT, few, few.config("bptt_4")),
    ]
    for variant, in_place in itertools.product(("bptt_4_traces", "e_prop_3"), (False, True)):
        textbook = functools.partial(TextbookEProp3, in_place=in_place)
        differences.append(compare_windows("the textbook", textbook, few, few.config(variant)))
    return Agreement(
        who=["eager"],
        what=f"{len(few.windows)} windows in float64",
        same="the error",
        rate_hz=None,
        gradients="truncated BPTT, the same with traces, and e-prop 3",
        gradient=max(differences),
    )


def compare_windows(who: str, learner_of: Callable[[Any], Any], problem: WindowProblem, config: Any) -> float:
    """The largest difference of gradients in any window, of all weights that `who` has."""
    module, differences = problem.learning_module(config).double(), []
    learner = learner_of(module)
    for window in problem.windows:
        batch = batches.doubled(window)
        loss, _, error, _ = module.window_loss(batch)
        theirs, gradients = learner.learn(batch)
        if not abs(error - theirs) <= EXACT * abs(error):
            raise RunFailed(f"{who} has the error {theirs:.6g}, ours {error:.6g}; not timed")
        module.zero_grad()
        loss.backward()
        ours = _gradients(module)
        differences.append(_gradient(who, {name: ours[name] for name in gradients}, gradients, EXACT))
    return max(differences)


def simulated(problem: Problem) -> Tensor:
    """Our spikes [batch, time, neuron], of each direction in its own order of time."""
    trial, network = problem.trial, problem.module(problem.config()).network
    with torch.no_grad():
        z = network(trial.inputs, lengths=getattr(trial, "lengths", None))[1]
    return torch.cat(z, dim=2) if isinstance(z, tuple) else z


@torch.no_grad()
def eager_spikes(problem: Problem) -> Tensor:
    """The same by a loop over time."""
    return torch.cat(eager.all_spikes(problem.module(problem.config()).network, problem.dense_inputs), dim=2)


def spikes_by_jax(problem: Problem) -> Tensor:
    """The same by JAX."""
    import jax

    weights, inputs, *_ = jax_problem(problem)
    return torch.from_numpy(np.array(jax.jit(jax_spikes(problem))(weights, inputs))).transpose(0, 1)


def gradients_by_jax(problem: Problem) -> dict[str, Tensor]:
    """JAX's gradients of symmetric e-prop 1, by name."""
    import jax

    weights, inputs, target, loss = jax_problem(problem)
    return {k: torch.from_numpy(np.array(g)) for k, g in jax.jit(jax.grad(loss))(weights, inputs, target).items()}


def compare_gradients(problem: Problem, with_jax: bool) -> float:
    """The largest difference of e-prop's and of BPTT's."""
    differences = []
    for variant, e_prop in ((VARIANT, True), ("bptt", False)):
        config = problem.config(variant)
        module, by_eager = problem.module(config), problem.module(config)
        module.step(problem.trial).loss.backward()
        eager_loss(by_eager, problem, e_prop).backward()
        ours = _gradients(module.network)
        differences.append(_gradient("eager", ours, _gradients(by_eager.network)))
        if with_jax and e_prop:
            by_weight = {name.rpartition(".")[2]: gradient for name, gradient in ours.items()}
            differences.append(_gradient("JAX", by_weight, gradients_by_jax(problem)))
    return max(differences)


def _gradients(of: Any) -> dict[str, Tensor]:
    return {name: torch.zeros_like(w) if w.grad is None else w.grad.to_dense() for name, w in of.named_parameters()}


def _same(who: str, ours: Tensor, theirs: Tensor) -> Tensor:
    """In which trials [batch] all spikes [batch, time, neuron] are the same; RunFailed where more differ than rounding
    explains."""
    differs = ours != theirs
    early = differs[:, :SAME_MS].flatten(1).any(dim=1)
    if early.float().mean() > SAME_TRIALS or abs(ours.sum() - theirs.sum()) > SAME_COUNT * ours.sum() or not ours.any():
        raise RunFailed(f"{who} does not spike like ours: {theirs.sum():.0f} spikes, ours {ours.sum():.0f}; not timed")
    return ~differs.flatten(1).any(dim=1)


def _gradient(who: str, ours: dict[str, Tensor], theirs: dict[str, Tensor], same: float = SAME_GRADIENT) -> float:
    """Largest relative difference over all weights; of those whose gradient is zero, the difference."""
    differences = [float((ours[k] - theirs[k]).abs().max()) / (float(theirs[k].abs().max()) or 1.0) for k in ours]
    if not max(differences) < same:
        raise RunFailed(f"the gradient of {who} is not ours: they differ by {max(differences):.0e}; not timed")
    return max(differences)
