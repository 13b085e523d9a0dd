"""What a reader would write in JAX: a jitted `jax.lax.scan`, symmetric e-prop 1 by `stop_gradient`, Adam by hand.

Arrays are [time, batch, ...]. Of the layouts, products, unrolled and joined loops that were tried on both tasks, no
other was faster.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from repro.eprop.layers.readout import Readout

Weights = dict[str, Any]  # "w_in" [neuron, input], "w_rec" [neuron, neuron], "w_out" [readout, neuron]
Spikes = Callable[[Weights, Any], Any]
Loss = Callable[[Weights, Any, Any], Any]


def make_spikes(neuron: Any, beta: Any) -> Spikes:
    """A function of weights and inputs [time, batch, input] that gives spikes [time, batch, neuron] (Eq. 20, 21, 25).

    `neuron` is of LIF or ALIF neurons, `beta` [neuron] their adaptation, of no elements where none adapts.
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
            sent = stop_gradient(z)
            v = neuron.alpha * v + drive + jnp.einsum("bi,ji->bj", sent, w_rec) - v_th * sent
            threshold = v_th
            if beta.size:
                a = neuron.rho * a + z
                threshold = v_th + beta * a
            refractory = jnp.maximum(refractory + steps * sent - 1, 0)
            z = (refractory == 0) * spike(v - threshold)
            return (v, a, z, refractory), z

        zeros = jnp.zeros((inputs.shape[1], n))
        return jax.lax.scan(step, (zeros, zeros, zeros, zeros), inputs @ weights["w_in"].T)[1]

    return spikes


def half_squared_error(y: Any, target: Any) -> Any:
    """Above Eq. 42, as a mean over trials; readout and target are [time, batch, readout]."""
    return jnp.sum((y - target) ** 2) / (2 * y.shape[1])


def cross_entropy(y: Any, weight: Any) -> Any:
    """Eq. 51, each class and step weighted by `weight`, both [time, batch, class]."""
    return -jnp.sum(weight * jax.nn.log_softmax(y))


OBJECTIVES = {"pattern_generation": half_squared_error, "store_recall": cross_entropy}


def make_loss(
    spikes: Spikes, readout: Readout, objective: Callable[[Any, Any], Any], rate_cost: float, target_hz: float
) -> Loss:
    """The task's loss of the readout (Eq. 41) plus, at a cost, the rate loss of the mean rate in Hz (Eq. 54)."""

    def loss(weights: Weights, inputs: Any, target: Any) -> Any:
        z = spikes(weights, inputs)

        def leak(y: Any, drive: Any) -> tuple[Any, Any]:
            y = readout.kappa * y + drive
            return y, y

        y = jax.lax.scan(leak, jnp.zeros(target.shape[1:]), readout.scale * z @ weights["w_out"].T)[1]
        total = objective(y, target)
        if rate_cost:
            total += rate_cost * (z.mean() * 1000 / readout.dt_ms - target_hz) ** 2
        return total

    return loss


def make_update(loss: Loss, learning_rate: float) -> Callable[..., Any]:
    """One jitted iteration: (weights, moments, count, inputs, target) -> (weights, moments)."""

    def update(weights: Weights, moments: Any, count: Any, inputs: Any, target: Any) -> tuple[Weights, Any]:
        gradients = jax.grad(loss)(weights, inputs, target)
        mean = {k: 0.9 * moments[0][k] + 0.1 * g for k, g in gradients.items()}
        square = {k: 0.999 * moments[1][k] + 0.001 * g * g for k, g in gradients.items()}
        size = learning_rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weights = {k: w - size * mean[k] / (jnp.sqrt(square[k]) + 1e-8) for k, w in weights.items()}
        return weights, (mean, square)

    return jax.jit(update, donate_argnums=(0, 1))
