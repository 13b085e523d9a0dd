"""What a reader would write in JAX: a jitted `jax.lax.scan`, symmetric e-prop 1 by `stop_gradient`, Adam by hand."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from repro.neurons.lif import LIF
from repro.neurons.readout import Readout

Weights = dict[str, Any]  # "w_in" [neuron, input], "w_rec" [neuron, neuron], "w_out" [readout, neuron]
Spikes = Callable[[Weights, Any], Any]
Loss = Callable[[Weights, Any, Any], Any]


def make_spikes(neuron: LIF) -> Spikes:
    """A function of weights and inputs [time, input] that gives spikes [time, neuron] (Eq. 20, 21)."""
    v_th, steps = neuron.v_th, neuron.refractory_steps

    @jax.custom_jvp
    def spike(v: Any) -> Any:
        return (v > v_th).astype(v.dtype)

    @spike.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        h = neuron.dampening / v_th * jnp.maximum(0, 1 - jnp.abs((primals[0] - v_th) / v_th))
        return spike(primals[0]), h * tangents[0]

    def spikes(weights: Weights, inputs: Any) -> Any:
        n = weights["w_rec"].shape[0]
        w_rec = weights["w_rec"] * (1 - jnp.eye(n))

        def step(state: Any, drive: Any) -> tuple[Any, Any]:
            v, z, refractory = state
            sent = stop_gradient(z)
            v = neuron.alpha * v + drive + w_rec @ sent - v_th * sent
            refractory = jnp.maximum(refractory + steps * sent - 1, 0)
            z = (refractory == 0) * spike(v)
            return (v, z, refractory), z

        zeros = jnp.zeros(n)
        return jax.lax.scan(step, (zeros, zeros, zeros), inputs @ weights["w_in"].T)[1]

    return spikes


def make_loss(spikes: Spikes, readout: Readout, rate_cost: float, target_hz: float, dt_ms: float) -> Loss:
    """Half the squared error of the readout (Eq. 41) plus the rate loss, of the mean rate in Hz (Eq. 54)."""

    def loss(weights: Weights, inputs: Any, target: Any) -> Any:
        z = spikes(weights, inputs)

        def leak(y: Any, drive: Any) -> tuple[Any, Any]:
            y = readout.kappa * y + drive
            return y, y

        y = jax.lax.scan(leak, jnp.zeros(target.shape[1]), readout.scale * z @ weights["w_out"].T)[1]
        rate_hz = z.mean() * 1000 / dt_ms
        return jnp.sum((y - target) ** 2) / 2 + rate_cost * (rate_hz - target_hz) ** 2

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
