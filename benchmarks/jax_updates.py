"""What JAX's contenders have in common: a jitted update whose arrays are donated, Adam, clipping, and XLA's own account
of memory. Weights, gradients and moments are dicts by name."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Weights = dict[str, Any]


class Moments(NamedTuple):
    """Adam's running means of gradients and of their squares."""

    mean: Weights
    square: Weights


def no_moments(weights: Weights) -> Moments:
    """Zeros."""
    return Moments(*({name: jnp.zeros_like(weight) for name, weight in weights.items()} for _ in range(2)))


def adam(
    weights: Weights, moments: Moments, gradients: Weights, count: Any, learning_rate: Any
) -> tuple[Weights, Moments]:
    """Adam's update number `count`, from 1, with torch's default constants; what has no gradient stays."""
    mean = {name: 0.9 * moments.mean[name] + 0.1 * g for name, g in gradients.items()}
    square = {name: 0.999 * moments.square[name] + 0.001 * g * g for name, g in gradients.items()}
    size, unbiased = learning_rate / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
    updated = {name: weights[name] - size * m / (jnp.sqrt(square[name]) / unbiased + 1e-8) for name, m in mean.items()}
    return weights | updated, Moments(moments.mean | mean, moments.square | square)


def clipping(squared_norm: Any, limit: float) -> Any:
    """The factor that brings gradients of this squared norm to the norm `limit`, as torch computes it."""
    return jnp.minimum(1.0, limit / (jnp.sqrt(squared_norm) + 1e-6))


class Updates:
    """Iterations of a jitted `update(*state, count, *data) -> state`, each waited for."""

    def __init__(self, update: Callable[..., Any], state: tuple[Any, ...], data: tuple[Any, ...]) -> None:
        self.state, self.data, self.count = state, data, 0
        self.update = jax.jit(update, donate_argnums=tuple(range(len(state))))

    def __call__(self) -> None:
        """One iteration."""
        self.count += 1
        self.state = self.update(*self.state, self.count, *self.data)
        jax.block_until_ready(self.state)

    def memory_mb(self) -> float:
        """What XLA allocates for one iteration: state, data and temporary arrays."""
        return compiled_mb(self.update, *self.state, 1, *self.data)


def compiled_mb(jitted: Any, *arguments: Any) -> float:
    """Megabytes of arguments, results and temporary arrays of a jitted function, as XLA's compiler counts them."""
    counted = jitted.lower(*arguments).compile().memory_analysis()
    size = counted.argument_size_in_bytes + counted.output_size_in_bytes - counted.alias_size_in_bytes
    return float(size + counted.temp_size_in_bytes) / 2**20
