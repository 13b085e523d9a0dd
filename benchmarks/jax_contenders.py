"""The contenders in JAX: each update is one jitted function, from weights and moments to weights and moments."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import jax_e_prop_3, jax_factored, jax_windows, scan
from benchmarks.contenders import Built, Gradients
from benchmarks.jax_updates import Updates, Weights, adam, compiled_mb, no_moments
from benchmarks.jax_windows import Cell, segment_of
from benchmarks.names import CONTENDERS, JAX_E_PROP_3, SCAN, SCAN_BPTT
from benchmarks.problem import Problem
from benchmarks.windows import WindowProblem


def build(who: str, problem: Problem) -> Built:
    """A contender by its name."""
    return _windows(who, problem) if isinstance(problem, WindowProblem) else _trials(who, problem)


def weights_of(module: Any) -> Weights:
    """Copies of a module's parameters, by the last part of their names."""
    return {name.rpartition(".")[2]: jnp.array(w.detach().numpy()) for name, w in module.named_parameters()}


def as_torch(gradients: Weights, module: Any) -> Gradients:
    """Gradients by the names of the module's parameters; zeros where there is none."""
    named = {name: gradients.get(name.rpartition(".")[2]) for name, _ in module.named_parameters()}
    zeros = {name: torch.zeros_like(parameter) for name, parameter in module.named_parameters()}
    return zeros | {name: torch.from_numpy(np.array(g)) for name, g in named.items() if g is not None}


def beta_of(network: Any) -> Any:
    """How strongly each neuron's threshold adapts [neuron]; of no elements where none does."""
    return jnp.array(network.layer.neuron.adaptation(network.readout.w_out.detach()).numpy())


def gradients_by(who: str, problem: Problem, network: Any) -> Callable[[Weights, Any, Any], Weights]:
    """The function of weights, inputs and target that gives a contender's gradients."""
    neuron, readout, config = network.layer.neuron, network.readout, problem.config()
    objective, e_prop = scan.OBJECTIVES[problem.task], CONTENDERS[who].variant != "bptt"
    rate = config.rate_cost, config.target_rate_hz
    if who not in (SCAN, SCAN_BPTT):
        return jax_factored.make_gradients(neuron, beta_of(network), readout, objective, *rate, e_prop)
    spikes = scan.make_spikes(neuron, beta_of(network), e_prop)
    by_scan: Callable[[Weights, Any, Any], Weights] = jax.grad(scan.make_loss(spikes, readout, objective, *rate))
    return by_scan


def data_of(problem: Problem) -> tuple[Any, Any]:
    """Inputs [time, batch, input] and target [time, batch, readout]."""
    inputs, target = (jnp.array(x.transpose(0, 1).numpy()) for x in (problem.dense_inputs, problem.target()))
    return inputs, target


def _trials(who: str, problem: Problem) -> Built:
    def gradients() -> list[Gradients]:
        with jax.enable_x64(problem.exact):
            module = problem.module(problem.config())
            jitted = jax.jit(gradients_by(who, problem, module.network))
            return [as_torch(jitted(weights_of(module), *data_of(problem)), module)]

    module, config = problem.module(problem.config()), problem.config()
    of_weights = gradients_by(who, problem, module.network)

    def update(weights: Weights, moments: Any, count: Any, *data: Any) -> Any:
        return adam(weights, moments, of_weights(weights, *data), count, config.learning_rate)

    weights = weights_of(module)
    step = Updates(update, (weights, no_moments(weights)), data_of(problem))
    return Built(step, gradients, step.memory_mb)


def _windows(who: str, problem: WindowProblem) -> Built:
    config = problem.config(CONTENDERS[who].variant)
    module = problem.learning_module(config)
    cell = Cell(module.network.layer.neuron.squash, module.network.layer.neuron.forget_bias, config.clip_norm)
    learn = _e_prop_3(cell, config.synthetic_factor) if who == JAX_E_PROP_3 else _truncated_bptt(cell)

    def gradients() -> list[Gradients]:
        with jax.enable_x64(problem.exact):
            weights, carried, series = weights_of(module), None, []
            jitted = jax.jit(learn)
            for window in problem.windows:
                if window.begins or carried is None:
                    carried = _at_rest(who, weights, len(window.this.inputs))
                rows, carried = jitted(weights, carried, *_segments(window))
                words = segment_of(window.this).inputs
                series.append(as_torch(jax_windows.dense(rows, weights, words), module))
            return series

    step = WindowUpdates(who, cell, learn, problem, weights_of(module), config.learning_rate)
    return Built(step, gradients, step.memory_mb)


def _segments(window: Any) -> tuple[Any, Any]:
    return segment_of(window.this), None if window.following is None else segment_of(window.following)


def _at_rest(who: str, weights: Weights, batch: int) -> tuple[Any, Any]:
    """Eligibility vectors, if any are carried, and the state of an LSTM layer, all zero."""
    c, h = (jnp.zeros((batch, weights["w_rec"].shape[1]), weights["w_in"].dtype) for _ in range(2))
    return jax_e_prop_3.vectors_at_rest(weights, batch) if who == JAX_E_PROP_3 else None, (c, h)


def _truncated_bptt(cell: Cell) -> Callable[..., Any]:
    def learn(weights: Weights, carried: Any, this: Any, following: Any) -> Any:
        gradients, state = jax_windows.truncated_bptt(cell, weights, this, carried[1])
        return gradients, (None, state)

    return learn


def _e_prop_3(cell: Cell, factor: float) -> Callable[..., Any]:
    def learn(weights: Weights, carried: Any, this: Any, following: Any) -> Any:
        gradients, *after = jax_e_prop_3.e_prop_3(cell, factor, weights, carried[0], this, following, carried[1])
        return gradients, tuple(after)

    return learn


class WindowUpdates:
    """Iterations of a contender that learns in windows: all that are timed, one jitted update after the other."""

    def __init__(
        self, who: str, cell: Cell, learn: Callable[..., Any], problem: WindowProblem, weights: Weights, rate: float
    ) -> None:
        def update(
            weights: Weights, moments: Any, carried: Any, count: Any, rate: Any, this: Any, following: Any
        ) -> Any:
            gradients, carried = learn(weights, carried, this, following)
            weights, moments = jax_windows.updated(cell, weights, moments, gradients, count, rate, this.inputs)
            return weights, moments, carried

        self.update = jax.jit(update, donate_argnums=(0, 1, 2))
        self.at_rest = lambda weights: _at_rest(who, weights, problem.size["batch_size"])
        self.windows = [(window.begins, *_segments(window)) for window in problem.timed]
        moments = None if cell.clip_norm else no_moments(weights)
        # The rate is an argument: XLA would leave out a gradient that it knows to be multiplied by zero.
        self.state, self.count, self.rate = (weights, moments, self.at_rest(weights)), 0, rate

    def __call__(self) -> None:
        """One iteration."""
        for begins, *segments in self.windows:
            self.count += 1
            weights, moments, carried = self.state
            if begins:
                carried = self.at_rest(weights)
            self.state = self.update(weights, moments, carried, self.count, self.rate, *segments)
        jax.block_until_ready(self.state)

    def memory_mb(self) -> float:
        """What XLA allocates for the largest update."""
        return max(compiled_mb(self.update, *self.state, 1, self.rate, *segments) for _, *segments in self.windows)
