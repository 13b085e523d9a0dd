"""The contenders: each has a step, which is timed, and its gradients, which are compared first. Lightning's are
elsewhere."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks import eager, one_shot
from benchmarks.names import (
    BPTT,
    EAGER,
    EAGER_E_PROP,
    FACTORED,
    LINEAR,
    ONLINE,
    SPIKING,
    UNROLLED,
    UNROLLED_LINEAR,
    needs_jax,
)
from benchmarks.problem import Problem, Step, torch_step
from benchmarks.windows import WindowProblem

Gradients = dict[str, Tensor]  # by the names of the module's parameters


class Built(NamedTuple):
    """A contender at settled weights. `step`: one iteration of forward pass, gradient and update, of all windows where
    a task has windows. `gradients`: those of each window, or of the one batch, without an update. `memory_mb`: the
    memory of an iteration, where the contender counts it itself."""

    step: Step
    gradients: Callable[[], list[Gradients]]
    memory_mb: Callable[[], float] | None = None


def build(who: str, problem: Problem) -> Built:
    """A contender by its name."""
    if needs_jax(who):
        from benchmarks import jax_contenders

        return jax_contenders.build(who, problem)
    if isinstance(problem, WindowProblem):
        from benchmarks import window_contenders

        return window_contenders.build(who, problem)
    made: dict[str, Callable[[], Built]] = {
        EAGER: lambda: _eager(problem, "bptt"),
        EAGER_E_PROP: lambda: _eager(problem, ""),
        UNROLLED: lambda: _eager(problem, "e_prop_2_spiking"),
        UNROLLED_LINEAR: lambda: _eager(problem, "e_prop_2_linear"),
        FACTORED: lambda: _ours(problem, problem.config()),
        BPTT: lambda: _ours(problem, problem.config("bptt")),
        ONLINE: lambda: _ours(problem, problem.config(evaluator="online")),
        SPIKING: lambda: _ours(problem, problem.config()),
        LINEAR: lambda: _ours(problem, problem.config("e_prop_2_linear")),
    }
    return made[who]()


def _ours(problem: Problem, config: Any) -> Built:
    module = problem.module(config)
    if not problem.has_rule:
        return _by_autograd(module, lambda: module.training_step(problem.trial, 0)["loss"])
    return _by_autograd(module, lambda: module.step(problem.trial).loss)


def _eager(problem: Problem, variant: str) -> Built:
    module = problem.module(problem.config(variant))
    return _by_autograd(module, lambda: eager_loss(module, problem, e_prop=variant != "bptt"))


def _by_autograd(module: Any, loss_of: Callable[[], Tensor]) -> Built:
    def gradients() -> list[Gradients]:
        module.zero_grad()
        loss_of().backward()
        return [gradients_of(module)]

    return Built(torch_step(module, loss_of), gradients)


def gradients_of(module: Any) -> Gradients:
    """Copies of a module's gradients; zeros where it received none."""
    named = dict(module.named_parameters())
    return {name: torch.zeros_like(w) if w.grad is None else w.grad.to_dense().clone() for name, w in named.items()}


def eager_loss(module: Any, problem: Problem, e_prop: bool) -> Tensor:
    """The loss of the batch with autograd's whole tape behind it."""
    if not problem.has_rule:
        return one_shot.loss(module, problem.trial, problem.dense_inputs)
    z = eager.all_spikes(module.network, problem.dense_inputs, e_prop)
    loss: Tensor = module.loss_of(eager.read_out(module.network.readout, z), problem.trial)
    if module.rate.cost:
        rates_hz = torch.cat([spikes.mean(dim=(0, 1)) for spikes in z]) * (1000 / module.config.dt_ms)
        loss = loss + module.rate.loss(rates_hz)
    return loss
