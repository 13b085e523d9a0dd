"""Learning in truncation windows of an LSTM layer: BPTT, e-prop 1 and e-prop 3 as pure functions of tensors.

In a window of the steps t_0 + 1, ..., t_m, with the cell state c as the hidden state s of a unit:

    L^t = dE/dh^t                                          learning signal, with the later outputs' part (Eq. 9)
    dE/dc^t = L^t dh^t/dc^t + dE/dc^(t+1) dc^(t+1)/dc^t    reverse recursion (Eq. 8)
    epsilon^t = dc^t/dc^(t-1) epsilon^(t-1) + dc^t/dtheta  eligibility vectors (Eq. 2, 37)
    dE/dtheta = sum_t L^t dh^t/dc^t . epsilon^t            e-prop 3 (Eq. 69)

Eq. 69 is evaluated by an identity, so that the eligibility vectors are read and written once a window:

    dE/dtheta = (BPTT inside the window, started from the boundary gradient through the recurrent weights only)
              + (dE/dc of the state before the window) . (eligibility vectors before the window)

The boundary gradient through each unit's own cell is omitted here because the next window adds it through the
eligibility vectors. With ideal boundaries the sum over windows is the true gradient (Eq. 70); as printed a boundary
leaves out what an output does to the next output gate (`boundary_from_local`). Arrays of a window are
[step, batch, ...]; gradients of weights are sums over the batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels import dispatch, reference
from repro.eprop.kernels.eligibility_vectors import carry
from repro.eprop.kernels.history import History, empty_history
from repro.eprop.kernels.products import product
from repro.eprop.neurons.lstm import GATES, LSTM, N_CELL_GATES, LSTMJacobians, LSTMState
from repro.eprop.rules.rule import WindowRule

LSTM_STEP = LSTM.step  # which the compiled kernels compute


class LSTMWeights(NamedTuple):
    """Weights of an LSTM layer, or their gradients: `w_in` [4 unit, input], `w_rec` [4 unit, unit], `bias` [4 unit].

    The rows of the four gates stand one after the other (`repro.eprop.neurons.lstm.GATES`). Gradients, and the weights
    of a layer, lie in memory transposed, as products are fastest and autograd need not copy."""

    w_in: Tensor
    w_rec: Tensor
    bias: Tensor

    def concatenated(self) -> Tensor:
        """The weights of all presynaptic activity (input, unit, 1): [4 unit, pre]. Detached."""
        return torch.cat([self.w_in.T, self.w_rec.T, self.bias[None]]).T.detach()


class WindowTrajectory(NamedTuple):
    """The forward pass of a window: presynaptic activity [step, batch, pre] with pre = (input, unit, 1), outputs h
    [step, batch, unit], local Jacobians [step, batch, ...], and the state after its last step."""

    presynaptic: Tensor
    h: Tensor
    jacobians: LSTMJacobians
    state_after: LSTMState


class BoundaryGradient(NamedTuple):
    """The gradient that enters a window at its right edge, each [batch, unit].

    `d_h`: dE/dh of the last output, through the recurrent weights of the next step; the errors of the window itself are
    not in it. `d_c`: dE/dc of the last cell state, through the cell path of the next step.
    """

    d_h: Tensor
    d_c: Tensor


class WindowBackward(NamedTuple):
    """The backward pass of a window: `d_current` = dE/dI of every gate [step, batch, 4, unit]; the same without the
    cell path for weights with truncated traces, else equal to it; dE/dc at its first step [batch, unit]; dE/dc of the
    preceding state through the cell path only, recurrent weights excluded [batch, unit]."""

    d_current: Tensor
    d_current_of_weights: Tensor
    d_cell_first_step: Tensor
    d_cell_before_window: Tensor


@torch.no_grad()
def forward_window(neuron: LSTM, weights: LSTMWeights, inputs: Tensor, state: LSTMState) -> WindowTrajectory:
    """Simulate a window of inputs [batch, step, input] from `state` (Eq. 31-36); nothing is recorded by autograd."""
    (batch, steps, n_in), n = inputs.shape, state.h.shape[1]
    matrix = weights.concatenated().T
    operators = dispatch.of(inputs) if type(neuron).step is LSTM_STEP else reference  # a unit with other equations
    presynaptic = inputs.new_empty(steps, batch, len(matrix))
    presynaptic[:, :, :n_in] = inputs.transpose(0, 1)
    presynaptic[:, :, -1] = 1
    h, d, output, direct = inputs.new_empty(4, steps, batch, n)
    c = inputs.new_empty(2, batch, n)  # in turns: the memory of the last but one is near
    jacobians = LSTMJacobians(d, inputs.new_empty(steps, batch, N_CELL_GATES, n), output, direct)
    for t in range(steps):
        presynaptic[t, :, n_in:-1] = state.h
        currents = product(presynaptic[t], matrix)
        written = c[t % 2], h[t], *(series[t] for series in jacobians)
        operators.lstm_step(neuron, currents, state.c, *written)
        state = LSTMState(c[t % 2], h[t])
    return WindowTrajectory(presynaptic, h, jacobians, LSTMState(*(part.clone() for part in state)))


def zero_boundary(state: LSTMState) -> BoundaryGradient:
    """No gradient from later steps, as if the simulation ended with the window: one zero, which is not to be written
    to."""
    return BoundaryGradient(*(part.new_zeros(()).expand(part.shape) for part in (state.h, state.c)))


@torch.no_grad()
def boundary_from_prediction(
    neuron: LSTM, weights: LSTMWeights, state: LSTMState, next_input: Tensor, d_cell: Tensor
) -> BoundaryGradient:
    """The boundary gradient from a prediction `d_cell` of dE/dc^(t+1) [batch, unit] (Eq. 67).

    `state` is that of the last step t of the window, `next_input` [batch, input] the input x^(t+1) of the next step.
    """
    first = forward_window(neuron, weights, next_input[:, None], state)
    return boundary_from_local(weights.w_rec, LSTMJacobians(*(series[0] for series in first.jacobians)), d_cell)


def boundary_from_local(w_rec: Tensor, local: LSTMJacobians, d_cell: Tensor) -> BoundaryGradient:
    """As `boundary_from_prediction`, from the Jacobians of step t + 1; Eq. 64 and 67 leave out the output gate.

    The predicted gradient is not propagated into the weights of that step; the next window does that.
    """
    d_current = (d_cell[:, None] * local.by_gate).flatten(start_dim=1)
    rows = w_rec.detach()[: N_CELL_GATES * w_rec.shape[1]]
    return BoundaryGradient(product(d_current, rows), d_cell * local.d)


def backward_window(
    w_rec: Tensor, jacobians: LSTMJacobians, d_h: Tensor, boundary: BoundaryGradient, rule: WindowRule
) -> WindowBackward:
    """Propagate dE/dh [step, batch, unit] of the window's errors to its left edge (Eq. 8, 9).

    Without `rule.recurrence` the learning signal does not follow the recurrent weights (e-prop 1); `boundary.d_h` is
    then not used.
    """
    reverse, w_rec = dispatch.of(d_h).lstm_step_reverse, w_rec.detach()
    d_currents = d_h.new_empty(*d_h.shape[:2], len(GATES), d_h.shape[2])
    of_weights = torch.empty_like(d_currents) if rule.vectors == "truncated" else d_currents
    from_later = boundary.d_h if rule.recurrence else None
    own_cell = boundary.d_c.clone(memory_format=torch.contiguous_format)
    d_cell = torch.empty_like(own_cell)
    for t in reversed(range(len(d_h))):
        given = d_h[t], from_later, LSTMJacobians(*(series[t] for series in jacobians))
        if rule.vectors == "truncated":  # L dh/dc dc/dtheta alone: the vectors have no past
            reverse(*given, torch.zeros_like(own_cell), d_cell, of_weights[t])
        reverse(*given, own_cell, d_cell, d_currents[t])
        if rule.recurrence and t:
            from_later = product(d_currents[t].flatten(start_dim=1), w_rec)
    return WindowBackward(d_currents, of_weights, d_cell, own_cell)


def advance_eligibility_vectors(
    vectors: Tensor | History,
    presynaptic: Tensor,
    jacobians: LSTMJacobians,
    d_cell_before_window: Tensor,
    d_cell_after: Tensor,
) -> tuple[Tensor | None, Tensor]:
    """Advance `vectors` [unit, batch, 3, pre] by one window, in place (Eq. 2, 37); or write it into the history.

    Returns what the steps before the window add to the gradient, [3, unit, pre], a sum over the batch (None if there
    are none); and what each step adds to the vectors after it, without the presynaptic activity: dc^t/dI^t times the
    later dc/dc of the window, [step, batch, 3, unit]. `d_cell_before_window` is that of `WindowBackward`,
    `d_cell_after` that of the boundary, both [batch, unit].
    """
    added, to_edge = torch.empty_like(jacobians.by_gate), torch.ones_like(d_cell_after)
    for t in reversed(range(len(added))):
        torch.mul(jacobians.by_gate[t], to_edge[:, None], out=added[t])
        to_edge = to_edge * jacobians.d[t]  # dc at the right edge / dc before the step
    # Subtract the own-cell part of the boundary gradient: the next window adds it, so counting it here would double it.
    d_cell = d_cell_before_window - to_edge * d_cell_after
    if isinstance(vectors, Tensor):
        return carry(vectors, to_edge, added, presynaptic, d_cell), added
    from_past = vectors.gradient(d_cell)
    vectors.add(to_edge, added, presynaptic)
    return from_past, added


def weight_gradient(
    presynaptic: Tensor,
    jacobians: LSTMJacobians,
    backward: WindowBackward,
    boundary: BoundaryGradient,
    vectors: Tensor | History | None,
) -> Tensor:
    """The window's gradient of all weights, [4 unit, pre], a sum over steps and batch (Eq. 69).

    `vectors` [unit, batch, 3, pre] are advanced in place, and a history in their place is written to; None: they begin
    anew in every window.
    """
    d_current, from_past = backward.d_current_of_weights, None
    if vectors is not None:
        from_past, added = advance_eligibility_vectors(
            vectors, presynaptic, jacobians, backward.d_cell_before_window, boundary.d_c
        )
        d_current = d_current.clone()
        d_current[:, :, :N_CELL_GATES].addcmul_(added, boundary.d_c[:, None], value=-1)
    rows = d_current.flatten(end_dim=1).flatten(start_dim=1)
    total = product(presynaptic.flatten(end_dim=1).T.contiguous(), rows).T
    if from_past is not None:
        total[: N_CELL_GATES * from_past.shape[1]] += from_past.flatten(end_dim=1)
    return total


def input_gradient(backward: WindowBackward, w_in: Tensor) -> Tensor:
    """dE/dx of the inputs [batch, step, input]. They have no eligibility vectors that could be truncated."""
    rows = backward.d_current.flatten(end_dim=1).flatten(start_dim=1)
    return product(rows, w_in.detach()).unflatten(0, backward.d_current.shape[:2]).transpose(0, 1)


def split_gradient(gradient: Tensor, n_in: int) -> LSTMWeights:
    """The gradient [4 unit, pre] of `LSTMWeights.concatenated()` by parameter."""
    d_w_in, d_w_rec, d_bias = gradient.split([n_in, gradient.shape[1] - n_in - 1, 1], dim=1)
    return LSTMWeights(d_w_in, d_w_rec, d_bias[:, 0])


def no_eligibility_vectors(weights: LSTMWeights, batch: int) -> Tensor:
    """The eligibility vectors of a layer that has received nothing yet, zeros [unit, batch, 3, pre]."""
    n, n_in = weights.w_rec.shape[1], weights.w_in.shape[1]
    return weights.w_in.new_zeros(n, batch, N_CELL_GATES, n_in + n + 1)


def no_history(weights: LSTMWeights, batch: int) -> History:
    """The same as a history without steps, and with room for as many as are cheaper than vectors."""
    like = no_eligibility_vectors(weights, 0)
    return empty_history(like, batch)
