"""What a reader would write in JAX: a `jax.lax.scan` and `jax.grad`, with `stop_gradient` for symmetric e-prop 1.

Arrays are [time, batch, ...]. Of the layouts, products, unrolled and joined loops that were tried on both tasks, no
other was faster.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from benchmarks.jax_updates import Weights
from repro.eprop.layers.readout import Readout

# Weights are "w_in" [neuron, input], "w_rec" [neuron, neuron], "w_out" [readout, neuron].
Spikes = Callable[[Weights, Any], Any]
Loss = Callable[[Weights, Any, Any], Any]


def make_spikes(neuron: Any, beta: Any, e_prop: bool = True) -> Spikes:
    """A function of weights and inputs [time, batch, input] that gives spikes [time, batch, neuron] (Eq. 20, 21, 25).

    `neuron` is of LIF or ALIF neurons, `beta` [neuron] their adaptation, of no elements where none adapts. With
    `e_prop` spikes reach other neurons and the reset without a gradient.
    """
    v_th, steps = neuron.v_th, neuron.refractory_steps

    @jax.custom_jvp
    def spike(above: Any) -> Any:
        return (above > 0).astype(above.dtype)

    @spike.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        h = neuron.dampening / v_th * jnp.maximum(0, 1 - jnp.abs(primals[0] / v_th))
        return spike(primals[0]), h * tangents[0]

    def spikes(weights: Weights, inputs: Any) -> Any:
        n = weights["w_rec"].shape[0]
        w_rec = weights["w_rec"] * (1 - jnp.eye(n))

        def step(state: Any, drive: Any) -> tuple[Any, Any]:
            v, a, z, refractory = state
            z_prev = stop_gradient(z) if e_prop else z
            v = neuron.alpha * v + drive + jnp.einsum("bi,ji->bj", z_prev, w_rec) - v_th * z_prev
            threshold = v_th
            if beta.size:
                a = neuron.rho * a + z
                threshold = v_th + beta * a
            refractory = jnp.maximum(refractory + steps * stop_gradient(z) - 1, 0)
            z = (refractory == 0) * spike(v - threshold)
            return (v, a, z, refractory), z

        zeros = jnp.zeros((inputs.shape[1], n), inputs.dtype)
        return jax.lax.scan(step, (zeros, zeros, zeros, zeros), inputs @ weights["w_in"].T)[1]

    return spikes


def half_squared_error(y: Any, target: Any) -> Any:
    """Above Eq. 42, as a mean over trials; readout and target are [time, batch, readout]."""
    return jnp.sum((y - target) ** 2) / (2 * y.shape[1])


def cross_entropy(y: Any, weight: Any) -> Any:
    """Eq. 51, each class and step weighted by `weight`, both [time, batch, class]."""
    return -jnp.sum(weight * jax.nn.log_softmax(y))


OBJECTIVES = {"pattern_generation": half_squared_error, "store_recall": cross_entropy}


def rate_loss(z: Any, cost: float, target_hz: float, dt_ms: float) -> Any:
    """The rate loss of the mean rate in Hz (Eq. 54), at a cost."""
    return cost * (z.mean() * 1000 / dt_ms - target_hz) ** 2


def make_loss(
    spikes: Spikes, readout: Readout, objective: Callable[[Any, Any], Any], rate_cost: float, target_hz: float
) -> Loss:
    """The task's loss of the readout (Eq. 41) plus the rate loss."""

    def loss(weights: Weights, inputs: Any, target: Any) -> Any:
        z = spikes(weights, inputs)

        def leak(y: Any, drive: Any) -> tuple[Any, Any]:
            y = readout.kappa * y + drive
            return y, y

        y = jax.lax.scan(leak, jnp.zeros_like(target[0]), readout.scale * z @ weights["w_out"].T)[1]
        total = objective(y, target)
        return total + rate_loss(z, rate_cost, target_hz, readout.dt_ms) if rate_cost else total

    return loss
