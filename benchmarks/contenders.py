"""The contenders: each builds a step, one iteration of forward pass, gradient and Adam. Lightning's are elsewhere."""

import importlib.util
from typing import Any

import torch

from benchmarks import eager, one_shot
from benchmarks.catalogue import (
    BPTT,
    CELL,
    EAGER,
    EAGER_E_PROP,
    FACTORED,
    IN_PLACE,
    JAX,
    LINEAR,
    ONLINE,
    PRINTED,
    SPIKING,
    STOCK,
    WINDOWS,
)
from benchmarks.lstm import StockLSTM, TruncatedBPTT
from benchmarks.problem import Problem, Step, optimizer_of, torch_step
from benchmarks.textbook import TextbookEProp3
from benchmarks.windows import WindowProblem
from tasks.word_prediction import clipping


def jax_is_here() -> bool:
    """Whether the extra `bench` is installed."""
    return importlib.util.find_spec("jax") is not None


def build(who: str, problem: Problem) -> Step:
    """The step of a contender, from settled weights."""
    if isinstance(problem, WindowProblem):
        return _window(who, problem)
    return {
        EAGER: lambda: _eager(problem, e_prop=False),
        EAGER_E_PROP: lambda: _eager(problem, e_prop=True),
        JAX: lambda: _jax(problem),
        FACTORED: lambda: _ours(problem, problem.config()),
        BPTT: lambda: _ours(problem, problem.config("bptt")),
        ONLINE: lambda: _ours(problem, problem.config(evaluator="online")),
        SPIKING: lambda: _ours(problem, problem.config()),
        LINEAR: lambda: _ours(problem, problem.config("e_prop_2_linear")),
    }[who]()


def _ours(problem: Problem, config: Any) -> Step:
    module = problem.module(config)
    if not problem.has_rule:
        return torch_step(module, lambda: module.training_step(problem.trial, 0)["loss"])
    return torch_step(module, lambda: module.step(problem.trial).loss)


def _eager(problem: Problem, e_prop: bool) -> Step:
    module = problem.module(problem.config())
    return torch_step(module, lambda: eager_loss(module, problem, e_prop))


def _window(who: str, problem: WindowProblem) -> Step:
    """The step of a contender in windows."""
    batch = problem.trial
    if who in (PRINTED, IN_PLACE):
        return _textbook(problem.learning_module(problem.config("e_prop_3")), batch, in_place=who == IN_PLACE)
    config = problem.config(WINDOWS.get(who, "bptt_4"))
    module = problem.learning_module(config)
    if who == CELL:
        cell = TruncatedBPTT(module)
        return torch_step(module, lambda: cell.loss(batch), clip=config.clip_norm)
    if who == STOCK:
        stock = StockLSTM(module)
        kind: Any = type(optimizer_of(module))
        optimizer = kind(stock.parameters(), lr=config.learning_rate, fused=True)
        return torch_step(stock, lambda: stock.loss(batch), optimizer, config.clip_norm)
    return torch_step(
        module, lambda: module.training_step(batch, 0)["loss"], clip=config.clip_norm, clip_by=clipping.clip
    )


def _textbook(module: Any, batch: Any, in_place: bool) -> Step:
    learner, optimizer = TextbookEProp3(module, in_place), optimizer_of(module)

    def step() -> None:
        for name, gradient in learner.learn(batch)[1].items():
            module.get_parameter(name).grad = gradient
        optimizer.step()

    return step


def eager_loss(module: Any, problem: Problem, e_prop: bool) -> torch.Tensor:
    """The loss of the batch with autograd's whole tape behind it."""
    if not problem.has_rule:
        return one_shot.loss(module, problem.trial, problem.dense_inputs)
    z = eager.all_spikes(module.network, problem.dense_inputs, e_prop)
    loss: torch.Tensor = module.loss_of(eager.read_out(module.network.readout, z), problem.trial)
    if module.rate.cost:
        rates_hz = torch.cat([spikes.mean(dim=(0, 1)) for spikes in z]) * (1000 / module.config.dt_ms)
        loss = loss + module.rate.loss(rates_hz)
    return loss


def _jax(problem: Problem) -> Step:
    import jax

    from benchmarks import scan

    weights, inputs, target, loss = jax_problem(problem)
    update = scan.make_update(loss, problem.config().learning_rate)
    state = [weights, tuple(jax.tree.map(jax.numpy.zeros_like, weights) for _ in range(2)), 0]

    def step() -> None:
        state[2] += 1
        state[:2] = update(*state, inputs, target)
        jax.block_until_ready(state[:2])

    return step


def jax_problem(problem: Problem) -> tuple[Any, Any, Any, Any]:
    """Weights, inputs [time, batch, input], target [time, batch, readout] and loss, for JAX."""
    import jax.numpy as jnp

    from benchmarks import scan

    config = problem.config()
    network = problem.module(config).network
    named = network.named_parameters()
    weights = {name.rpartition(".")[2]: jnp.array(weight.detach().numpy()) for name, weight in named}
    objective = scan.OBJECTIVES[problem.task]
    loss = scan.make_loss(jax_spikes(problem), network.readout, objective, config.rate_cost, config.target_rate_hz)
    inputs, target = (jnp.array(x.transpose(0, 1).numpy()) for x in (problem.dense_inputs, problem.target()))
    return weights, inputs, target, loss


def jax_spikes(problem: Problem) -> Any:
    """JAX's function of weights and inputs that gives spikes."""
    import jax.numpy as jnp

    from benchmarks import scan

    network = problem.module(problem.config()).network
    neuron = network.layer.neuron
    return scan.make_spikes(neuron, jnp.array(neuron.adaptation(network.readout.w_out.detach()).numpy()))
