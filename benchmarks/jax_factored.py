"""The best that was written in JAX for spiking networks: a scan forward, a scan back, and one product per matrix.

No tape. The scan back is the recursion that autograd would do through each neuron's variables (symmetric e-prop 1), or
through the recurrent weights too (BPTT); its result times the presynaptic activity is the gradient. The scan forward
computes the readout (Eq. 41) and the scan back the filtered error (Eq. 45), which saves a sixth of store-recall's time;
loops unrolled by 2, 4 or 8 and [neuron, batch] in place of [batch, neuron] took longer. Arrays are [time, batch, ...].
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.jax_updates import Weights
from benchmarks.scan import rate_loss
from repro.eprop.layers.readout import Readout


def make_gradients(
    neuron: Any,
    beta: Any,
    readout: Readout,
    objective: Callable[[Any, Any], Any],
    rate_cost: float,
    target_hz: float,
    e_prop: bool,
) -> Callable[[Weights, Any, Any], Weights]:
    """A function of weights, inputs [time, batch, input] and target [time, batch, readout] that gives the gradients."""
    forward = _forward(neuron, beta, readout)
    backward = _backward(neuron, beta, readout, e_prop)

    def gradients(weights: Weights, inputs: Any, target: Any) -> Weights:
        n = weights["w_rec"].shape[0]
        others = 1 - jnp.eye(n, dtype=inputs.dtype)  # no autapses
        w_rec = weights["w_rec"] * others - neuron.v_th * jnp.eye(n, dtype=inputs.dtype)  # with the reset, Eq. 20
        z, h, y = forward(weights, w_rec, inputs)
        error = jax.grad(objective)(y, target)
        by_rate = jax.grad(rate_loss)(z, rate_cost, target_hz, readout.dt_ms)[0, 0, 0] if rate_cost else 0.0
        filtered, delta = backward(weights, w_rec, h, error, by_rate)
        return {
            "w_in": _product(delta, inputs),
            "w_rec": _product(delta[1:], z[:-1]) * others,
            "w_out": readout.scale * _product(filtered, z),
        }

    return gradients


def _product(post: Any, pre: Any) -> Any:
    """The sum over time and batch of post [time, batch, j] times pre [time, batch, i], [j, i]."""
    return post.reshape(-1, post.shape[2]).T @ pre.reshape(-1, pre.shape[2])


def _forward(neuron: Any, beta: Any, readout: Readout) -> Callable[..., tuple[Any, Any, Any]]:
    """Spikes z, pseudo-derivatives h (Eq. 24) and readouts y."""
    v_th = neuron.v_th

    def forward(weights: Weights, w_rec: Any, inputs: Any) -> tuple[Any, Any, Any]:
        def step(state: Any, drive: Any) -> tuple[Any, Any]:
            v, a, z, refractory, y = state
            v = neuron.alpha * v + drive + z @ w_rec.T
            threshold = v_th
            if beta.size:
                a = neuron.rho * a + z
                threshold = v_th + beta * a  # Eq. 25
            refractory = jnp.maximum(refractory + neuron.refractory_steps * z - 1, 0)
            free, above = refractory == 0, v - threshold
            h = free * (neuron.dampening / v_th) * jnp.maximum(0, 1 - jnp.abs(above / v_th))
            z = (free & (above > 0)).astype(v.dtype)
            y = readout.kappa * y + readout.scale * z @ weights["w_out"].T
            return (v, a, z, refractory, y), (z, h, y)

        zeros = jnp.zeros((inputs.shape[1], w_rec.shape[0]), inputs.dtype)
        y = jnp.zeros((inputs.shape[1], weights["w_out"].shape[0]), inputs.dtype)
        series: tuple[Any, Any, Any] = jax.lax.scan(step, (*[zeros] * 4, y), inputs @ weights["w_in"].T)[1]
        return series

    return forward


def _backward(neuron: Any, beta: Any, readout: Readout, e_prop: bool) -> Callable[..., tuple[Any, Any]]:
    """The filtered error, and dE/dI of every neuron: what multiplies the presynaptic activity (Eq. 23, 29, 45)."""

    def backward(weights: Weights, w_rec: Any, h: Any, error: Any, by_rate: Any) -> tuple[Any, Any]:
        def step(state: Any, at: Any) -> tuple[Any, Any]:
            filtered, d_v, d_a = state
            filtered = readout.kappa * filtered + at[0]
            signal = readout.scale * filtered @ weights["w_out"] + by_rate
            if beta.size:
                signal = signal + d_a  # a spike raises the threshold of the next step
            if not e_prop:
                signal = signal + d_v @ w_rec
            at_threshold = at[1] * signal
            d_v = neuron.alpha * d_v + at_threshold
            if beta.size:
                d_a = neuron.rho * d_a - beta * at_threshold
            return (filtered, d_v, d_a), (filtered, d_v)

        zeros = jnp.zeros_like(h[0])
        series: tuple[Any, Any] = jax.lax.scan(
            step, (jnp.zeros_like(error[0]), zeros, zeros), (error, h), reverse=True
        )[1]
        return series

    return backward
