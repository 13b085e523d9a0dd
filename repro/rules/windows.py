"""Learning in truncation windows: BPTT, synthetic gradients, eligibility vectors that are carried on, and e-prop 3.

Within a window the gradient is BPTT's, from whatever boundary value its right edge is given. What happened before the
window reaches it through the eligibility vectors, by an identity: the gradient of e-prop 3 (Eq. 69) is that of BPTT in
the window, from a boundary that leaves out each unit's own state (which the next window will hear, through the
vectors), plus dE/ds of the own state at the left edge, so found, times the vectors there. So the vectors are touched
once a window. With ideal boundaries the sum over windows is the true gradient (Eq. 70).
"""

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels.eligibility_vectors import carry
from repro.eprop.neurons.lstm import N_CELL_GATES, LSTMJacobians, LSTMState
from repro.gated import GatedNetwork, Walk


@dataclasses.dataclass(frozen=True)
class WindowRule:
    """A point on the axes: whether eligibility vectors are "carried" on, begin anew ("none"), or never have a past even
    within the window ("truncated", with which the sum is taken step by step); whether learning signals follow the
    recurrence (no: e-prop 1); whether a synthetic gradient stands at the right edge."""

    vectors: str = "carried"
    recurrence: bool = True
    synthetic: bool = True


class Edge(NamedTuple):
    """What the future says at the right edge, dE/dh of the last output and dE/dc of the last cell state through each
    unit's own next state, both [batch, unit]."""

    by_h: Tensor
    by_c: Tensor


class Backward(NamedTuple):
    """A window's way back: dE/dI of every gate [step, batch, 4, unit], dE/dc at the first step [batch, unit], and dE/dc
    of the state before it, the units' own past alone."""

    delta: Tensor
    first: Tensor
    left: Tensor


def synthetic_edge(network: GatedNetwork, after: LSTMState, beyond: Tensor, predicted: Tensor) -> Edge:
    """The edge from a prediction of dE/dc^(t+1) [batch, unit] for the step after the window, whose input is `beyond`
    [batch, input]."""
    return edge_through(network, network.step(network.weights(), after, beyond)[2], predicted)


def edge_through(network: GatedNetwork, local: LSTMJacobians, predicted: Tensor) -> Edge:
    """The same where the derivatives of that step are known (Eq. 67). What its weights owe to the prediction belongs to
    the next window."""
    currents = (predicted[:, None] * local.by_gate).flatten(start_dim=1)
    return Edge(currents @ network.w_rec.detach()[: N_CELL_GATES * network.n], predicted * local.d)


def no_edge(after: LSTMState) -> Edge:
    """Zero, as if the simulation ended with the window."""
    return Edge(torch.zeros_like(after.h), torch.zeros_like(after.c))


def backward(network: GatedNetwork, walk: Walk, by_h: Tensor, edge: Edge, rule: WindowRule) -> Backward:
    """From dE/dh [step, batch, unit] of the window's own errors back to its left edge (Eq. 8, 9)."""
    w_rec, local = network.w_rec.detach(), walk.local
    later, own = edge.by_h, edge.by_c
    deltas: list[Tensor] = []
    for t in reversed(range(len(walk.h))):
        signal = by_h[t] + later if rule.recurrence else by_h[t]  # L, Eq. 9
        through = signal * local.output[t]
        first = through + own  # Eq. 8
        at_output = (signal * local.direct[t])[:, None]
        delta = torch.cat([first[:, None] * local.by_gate[t], at_output], dim=1)
        if rule.recurrence and t:
            later = delta.flatten(start_dim=1) @ w_rec
        if rule.vectors == "truncated":  # L ds/dtheta alone, and not what s owes to its own past
            delta = torch.cat([through[:, None] * local.by_gate[t], at_output], dim=1)
        own = first * local.d[t]
        deltas.append(delta)
    return Backward(torch.stack(deltas[::-1]), first, own)


def gradient(
    network: GatedNetwork, walk: Walk, back: Backward, edge: Edge, vectors: Tensor | None
) -> dict[str, Tensor]:
    """The window's gradient by the names of the network's parameters; carries `vectors` [unit, batch, 3, pre] on to the
    right edge, in place (None: they begin anew in every window)."""
    delta, carried = back.delta, None
    if vectors is not None:
        before = torch.cumprod(walk.local.d.flip(0), dim=0).flip(0)  # the product of D from each step to the edge
        since = torch.cat([before[1:], torch.ones_like(before[:1])])
        rows = walk.local.by_gate * since[:, :, None]
        # The next window hears the boundary of a unit's own state, from the vectors as they are then: not this one too.
        carried = carry(vectors, before[0], rows, walk.pre, back.left - before[0] * edge.by_c)
        remembered, at_output = delta.split([N_CELL_GATES, 1], dim=2)
        delta = torch.cat([remembered - edge.by_c[:, None] * rows, at_output], dim=2)
    total = delta.flatten(end_dim=1).flatten(start_dim=1).T @ walk.pre.flatten(end_dim=1)
    if carried is not None:
        total[: N_CELL_GATES * network.n] += carried.reshape(N_CELL_GATES * network.n, -1)
    return network.apart(total)


def no_vectors(network: GatedNetwork, batch: int) -> Tensor:
    """Eligibility vectors of a network that has seen nothing, [unit, batch, 3, pre]."""
    pre = network.w_in.shape[1] + network.n + 1
    return network.w_in.new_zeros(network.n, batch, N_CELL_GATES, pre)
