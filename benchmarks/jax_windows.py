"""Truncated BPTT in windows in JAX: the LSTM cell written out, `jax.grad`, and the whole update in one jit.

Weights are a dict by the last name of the module's parameters. States are (c, h), [batch, unit]; arrays of a window
[step, batch, ...]. Where inputs are words, gradients with respect to the embedding are rows, one for each word that
occurs: no pass over all of it.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.jax_updates import Moments, Weights, adam, clipping

EMBEDDING = "embedding"


class Cell(NamedTuple):
    """What is constant in an LSTM cell and its updates: h = o tanh(c) or o c, the forget gate's bias, the norm at which
    gradients are clipped (0: they are not, and the optimizer is Adam)."""

    squash: bool
    forget_bias: float
    clip_norm: float


class Segment(NamedTuple):
    """A window: inputs [step, batch, input], or words [step, batch]; targets [step, batch, channel], or words; which
    steps have a target [step] (None for words: all); the input of the step after the window (None at the end)."""

    inputs: Any
    target: Any
    mask: Any
    next_input: Any


def segment_of(segment: Any) -> Segment:
    """A segment of copy-repeat or word prediction."""
    inputs, target = (jnp.array(array.transpose(0, 1).numpy()) for array in (segment.inputs, segment.target))
    first = getattr(segment, "first_target_step", None)
    mask = None if first is None else (jnp.arange(len(inputs)) >= first).astype(inputs.dtype)
    after = segment.next_input
    return Segment(inputs, target, mask, None if after is None else jnp.array(after.numpy()))


def embedded(weights: Weights, words: Any) -> Any:
    """Inputs as they are, or the vectors of words."""
    return weights[EMBEDDING][words] if EMBEDDING in weights else words


def cell_step(cell: Cell, matrix: Any, bias: Any, state: Any, x: Any) -> Any:
    """The state after a step (Eq. 31-36); gates in the order input, forget, candidate, output."""
    c, h = state
    currents = jnp.concatenate([x, h], axis=1) @ matrix + bias
    to_input, to_forget, to_candidate, to_output = jnp.split(currents, 4, axis=1)
    forget = jax.nn.sigmoid(to_forget + cell.forget_bias)
    c = forget * c + jax.nn.sigmoid(to_input) * jnp.tanh(to_candidate)
    return c, jax.nn.sigmoid(to_output) * (jnp.tanh(c) if cell.squash else c)


def simulated(cell: Cell, weights: Weights, inputs: Any, state: Any) -> tuple[Any, Any]:
    """Outputs [step, batch, unit] and the state after them.

    Steps are written out one after the other, with one product for input and output: two products, a scan, and a
    backward pass by hand took 5 to 30 % longer.
    """
    series, matrix = [], jnp.concatenate([weights["w_in"], weights["w_rec"]], axis=1).T
    for x in inputs:
        state = cell_step(cell, matrix, weights["bias"], state, x)
        series.append(state[1])
    return jnp.stack(series), state


def error_of(weights: Weights, h: Any, segment: Segment) -> Any:
    """Cross-entropy of words in nats, or of bits in bits, added up over steps and batch."""
    y = h @ weights["w_out"].T + weights["b_out"]
    if segment.mask is None:
        return -jnp.take_along_axis(jax.nn.log_softmax(y), segment.target[..., None], axis=2).sum()
    by_bit = jnp.maximum(y, 0) - y * segment.target + jnp.log1p(jnp.exp(-jnp.abs(y)))
    return (by_bit * segment.mask[:, None, None]).sum() / math.log(2)


def truncated_bptt(cell: Cell, weights: Weights, segment: Segment, state: Any) -> tuple[Weights, Any]:
    """Gradients, means over the batch, and the state after the window. That of the embedding is [step, batch, unit]."""
    learned = {name: weight for name, weight in weights.items() if name != EMBEDDING}
    batch = len(state[0])

    def loss(learned: Weights, inputs: Any) -> tuple[Any, Any]:
        h, after = simulated(cell, learned, inputs, state)
        return error_of(learned, h, segment) / batch, after

    (gradients, by_input), after = jax.grad(loss, argnums=(0, 1), has_aux=True)(
        learned, embedded(weights, segment.inputs)
    )
    return gradients | ({EMBEDDING: by_input} if EMBEDDING in weights else {}), after


def dense(gradients: Weights, weights: Weights, words: Any) -> Weights:
    """The same with the embedding's gradient as an array of its shape."""
    if EMBEDDING not in gradients:
        return gradients
    return gradients | {EMBEDDING: jnp.zeros_like(weights[EMBEDDING]).at[words].add(gradients[EMBEDDING])}


def updated(
    cell: Cell, weights: Weights, moments: Moments, gradients: Weights, count: Any, rate: Any, words: Any
) -> tuple[Weights, Moments]:
    """Adam, or clipping by the norm of all gradients and a step down them."""
    if not cell.clip_norm:
        return adam(weights, moments, gradients, count, rate)
    squares = sum(jnp.vdot(g, g) for name, g in gradients.items() if name != EMBEDDING)
    if EMBEDDING in gradients:
        rows, word = gradients[EMBEDDING].reshape(-1, gradients[EMBEDDING].shape[-1]), words.reshape(-1)
        # The squared norm of the sum of the rows of each word, for words that occur twice.
        squares = squares + jnp.sum((word[:, None] == word) * (rows @ rows.T))
    size = rate * clipping(squares, cell.clip_norm)
    moved = {name: weights[name] - size * g for name, g in gradients.items() if name != EMBEDDING}
    if EMBEDDING in gradients:
        moved[EMBEDDING] = weights[EMBEDDING].at[words].add(-size * gradients[EMBEDDING])
    return weights | moved, moments
