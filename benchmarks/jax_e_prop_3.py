"""E-prop 3 in windows in JAX, by the identity that ours uses (`repro.eprop.rules.windows`), as Algorithm 1 has it:

    gradient = BPTT inside the window, from the boundary gradient through the recurrent weights only
             + (dE/dc of the state before the window) . (eligibility vectors before the window)        (Eq. 69)

The vectors [unit, batch, 3, pre] are read and written once a window (Eq. 2, 37), by a scan over units, so that those
of one unit stay in the cache: over all units at once it took 2.5 times as long on copy-repeat and 4 times on words, and
a loop that updates one array in place 30 times. Arrays of a window are [step, batch, ...]; pre = (input, unit, 1).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.jax_updates import Weights
from benchmarks.jax_windows import EMBEDDING, Cell, Segment, embedded, error_of

READOUT, PREDICTOR = ("w_out", "b_out"), ("hidden", "hidden_bias", "out", "out_bias")


class Trajectory(NamedTuple):
    """Presynaptic activity, outputs, and the derivatives dc^t/dc^(t-1), dc^t/dI^t by gate, dh^t/dc^t, dh^t/dI^t of the
    output gate (Eq. 37-40), each a list of steps; the state after them."""

    pre: list[Any]
    h: list[Any]
    d: list[Any]
    by_gate: list[Any]
    output: list[Any]
    direct: list[Any]
    state: Any


def vectors_at_rest(weights: Weights, batch: int) -> Any:
    """Zeros [unit, batch, 3, pre]."""
    n, n_in = weights["w_rec"].shape[1], weights["w_in"].shape[1]
    return jnp.zeros((n, batch, 3, n_in + n + 1), weights["w_in"].dtype)


def trajectory(cell: Cell, weights: Weights, inputs: Any, state: Any) -> Trajectory:
    """A window from `state`, of inputs [step, batch, input] (Eq. 31-36)."""
    made = Trajectory([], [], [], [], [], [], state)
    matrix = jnp.concatenate([weights["w_in"], weights["w_rec"], weights["bias"][:, None]], axis=1)
    c, h = state
    for x in inputs:
        pre = jnp.concatenate([x, h, jnp.ones_like(h[:, :1])], axis=1)
        to_input, to_forget, to_candidate, to_output = jnp.split(pre @ matrix.T, 4, axis=1)
        i, f = jax.nn.sigmoid(to_input), jax.nn.sigmoid(to_forget + cell.forget_bias)
        candidate, o = jnp.tanh(to_candidate), jax.nn.sigmoid(to_output)
        by_gate = jnp.stack([candidate * i * (1 - i), c * f * (1 - f), i * (1 - candidate**2)], axis=1)
        c = f * c + i * candidate
        seen = jnp.tanh(c) if cell.squash else c
        h = o * seen
        step = (pre, h, f, by_gate, o * (1 - seen**2) if cell.squash else o, seen * o * (1 - o))
        for series, value in zip(made[:6], step, strict=True):
            series.append(value)
    return made._replace(state=(c, h))


def backward(w_rec: Any, made: Trajectory, d_h: Any, boundary: tuple[Any, Any]) -> tuple[list[Any], Any, Any]:
    """dE/dI of every gate [step][batch, 4, unit], dE/dc at the first step, and dE/dc of the state before it through the
    cell path only (Eq. 8, 9). `boundary` is the gradient (dE/dh, dE/dc) that enters at the right edge."""
    from_later, own_cell = boundary
    series: list[Any] = []
    for t in reversed(range(len(made.h))):
        signal = d_h[t] + from_later
        d_cell = signal * made.output[t] + own_cell
        series.insert(0, jnp.concatenate([d_cell[:, None] * made.by_gate[t], (signal * made.direct[t])[:, None]], 1))
        from_later, own_cell = series[0].reshape(len(d_cell), -1) @ w_rec, d_cell * made.d[t]
    return series, d_cell, own_cell


def predict(weights: Weights, h: Any) -> Any:
    """SG(h, Psi), the prediction of dE/dc of the next step."""
    return jax.nn.relu(h @ weights["hidden"].T + weights["hidden_bias"]) @ weights["out"].T + weights["out_bias"]


def boundary_of(weights: Weights, at_next: Any, d_cell: Any) -> tuple[Any, Any]:
    """The boundary gradient from a prediction of dE/dc^(t+1), through that step's `at_next` = (d, by_gate) (Eq. 67)."""
    d, by_gate = at_next
    rows = weights["w_rec"][: 3 * weights["w_rec"].shape[1]]
    return (d_cell[:, None] * by_gate).reshape(len(d_cell), -1) @ rows, d_cell * d


def no_boundary(state: Any) -> tuple[Any, Any]:
    """Zeros."""
    return jnp.zeros_like(state[1]), jnp.zeros_like(state[0])


def target_of(cell: Cell, factor: float, weights: Weights, later: Trajectory, following: Segment) -> Any:
    """dE/dc at the first step of the next window (Eq. 66), which has a predicted boundary too."""
    boundary = no_boundary(later.state)
    if following.next_input is not None:
        after = trajectory(cell, weights, embedded(weights, following.next_input)[None], later.state)
        prediction = factor * predict(weights, later.state[1])
        boundary = boundary_of(weights, (after.d[0], after.by_gate[0]), prediction)
    d_h = jax.grad(error_of, argnums=1)(weights, jnp.stack(later.h), following)
    return backward(weights["w_rec"], later, d_h, boundary)[1]


def synthetic(
    cell: Cell, factor: float, weights: Weights, state: Any, following: Segment | None
) -> tuple[tuple[Any, Any], Any, Weights]:
    """The boundary gradient, dE_SG/dh of the last outputs, and the predictor's gradients (Algorithm 1, Eq. 64-67);
    none at the end."""
    if following is None:
        return no_boundary(state), 0.0, {}
    later = trajectory(cell, weights, embedded(weights, following.inputs), state)
    target = target_of(cell, factor, weights, later, following)
    predictor = {name: weights[name] for name in PREDICTOR}
    prediction, pull = jax.vjp(predict, predictor, state[1])
    gradients, d_h = pull(prediction - target)  # of half the squared difference, Eq. 66
    return boundary_of(weights, (later.d[0], later.by_gate[0]), factor * prediction), d_h, gradients


def e_prop_3(
    cell: Cell, factor: float, weights: Weights, vectors: Any, segment: Segment, following: Segment | None, state: Any
) -> tuple[Weights, Any, Any]:
    """Gradients, means over the batch; the vectors and the state after the window. The embedding's gradient is
    [step, batch, unit]."""
    made = trajectory(cell, weights, embedded(weights, segment.inputs), state)
    readout = {name: weights[name] for name in READOUT}
    by_readout, d_h = jax.grad(error_of, argnums=(0, 1))(readout, jnp.stack(made.h), segment)
    boundary, by_prediction, gradients = synthetic(cell, factor, weights, made.state, following)
    d_h = d_h.at[-1].add(by_prediction)
    d_currents, _, before = backward(weights["w_rec"], made, d_h, boundary)
    of_layer, vectors = _with_past(made, d_currents, before, boundary[1], vectors)
    n_in = weights["w_in"].shape[1]
    gradients |= by_readout
    gradients |= {"w_in": of_layer[:, :n_in], "w_rec": of_layer[:, n_in:-1], "bias": of_layer[:, -1]}
    if EMBEDDING in weights:
        gradients[EMBEDDING] = jnp.stack([d.reshape(len(d), -1) @ weights["w_in"] for d in d_currents])
    return {name: gradient / len(state[0]) for name, gradient in gradients.items()}, vectors, made.state


def _with_past(
    made: Trajectory, d_currents: list[Any], before: Any, d_cell_after: Any, vectors: Any
) -> tuple[Any, Any]:
    """The gradient of all weights of the layer, [4 unit, pre], and the vectors after the window (Eq. 2, 37, 69)."""
    added: list[Any] = []
    to_edge = jnp.ones_like(before)  # dc at the right edge / dc of each step
    for d, by_gate in zip(reversed(made.d), reversed(made.by_gate), strict=True):
        added.insert(0, by_gate * to_edge[:, None])
        to_edge = to_edge * d
    # The next window adds the boundary through each unit's own cell, from the vectors: it is left out here.
    inside = [
        jnp.concatenate([d[:, :3] - d_cell_after[:, None] * a, d[:, 3:]], 1)
        for d, a in zip(d_currents, added, strict=True)
    ]
    post, pre = jnp.stack(inside), jnp.stack(made.pre)
    total = post.reshape(-1, post.shape[2] * post.shape[3]).T @ pre.reshape(-1, pre.shape[2])
    vectors, from_past = _advance(vectors, to_edge, before - to_edge * d_cell_after, jnp.stack(added), pre)
    at_cell = from_past.reshape(-1, from_past.shape[2])
    return total.at[: len(at_cell)].add(at_cell), vectors


def _advance(vectors: Any, to_edge: Any, d_cell: Any, added: Any, pre: Any) -> tuple[Any, Any]:
    """The vectors after the window, and what those before it add to the gradient [3, unit, pre]."""

    def unit(_: None, of_unit: Any) -> tuple[None, Any]:
        before, decay, signal, post = of_unit  # [batch, 3, pre], [batch], [batch], [step, batch, 3]
        after = decay[:, None, None] * before
        for a, p in zip(post, pre, strict=True):
            after = after + a[..., None] * p[:, None]
        return None, (after, (signal @ before.reshape(len(signal), -1)).reshape(before.shape[1:]))

    after, from_past = jax.lax.scan(unit, None, (vectors, to_edge.T, d_cell.T, added.transpose(3, 0, 1, 2)))[1]
    return after, from_past.transpose(1, 0, 2)
