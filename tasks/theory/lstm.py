"""Equations 1, 69 and 70 for LSTM units: our rules against autograd."""

from collections.abc import Callable

import torch
from torch import Tensor

from repro.eprop.neurons.lstm import GATES, N_CELL_GATES, LSTMState
from repro.eprop.rules import windows
from repro.eprop.rules.rule import EProp, EProp3
from repro.eprop.rules.windows import BoundaryGradient
from repro.runs.seeds import generator
from tasks.theory.config import TheoryConfig
from tasks.theory.networks import Case, gradient, make, neuron_of, relative, typical

GIVEN_SIGNALS = EProp().window_rule()  # sum_t L e with learning signals as they are
E_PROP_3 = EProp3().window_rule()
Boundaries = Callable[[LSTMState, int], BoundaryGradient]  # of the state after a window, and the step after it


def unrolled(case: Case) -> tuple[Tensor, list[LSTMState]]:
    """E and the state after every step, recorded by autograd."""
    weights, state, states = case.parameters(), case.initial_state(), []
    for x in case.inputs.unbind(dim=1):
        _, state, _ = case.step(weights, state, x)
        states.append(state)
    return case.error(torch.stack([state.h for state in states])), states


def true_gradient(case: Case) -> Tensor:
    """dE/dtheta by autograd, [4 * unit, pre]."""
    by_in, by_rec, by_bias = torch.autograd.grad(unrolled(case)[0], list(case.network.layer.weights))
    return torch.cat([by_in, by_rec, by_bias[:, None]], dim=1)


def eq1(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Eq. 1 for the weights of every gate, with L = dE/dh^t in total by autograd."""
    memory, coupling = typical(config)
    case = make(neuron_of("lstm", memory, config.squash), coupling, config, seed)
    error, states = unrolled(case)
    signal = torch.stack(torch.autograd.grad(error, [state.h for state in states]))
    (trajectory,) = case.windows(config.steps)
    boundary = windows.zero_boundary(trajectory.state_after)
    back = windows.backward_window(case.network.layer.w_rec, trajectory.jacobians, signal, boundary, GIVEN_SIGNALS)
    by_gate = gradient(trajectory, back, boundary, None).chunk(len(GATES))
    wanted = true_gradient(case).chunk(len(GATES))
    return {f"eq1_lstm_{gate}": relative(*pair) for gate, *pair in zip(GATES, by_gate, wanted, strict=True)}


def eq70(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Windows with ideal boundaries against the true gradient; the same without an LSTM's path through its output gate,
    which must differ; and the estimate of single windows with an arbitrary boundary against Eq. 69 as printed."""
    memory, coupling = typical(config)
    ideal, cell_only, single = [], [], []
    lengths = sorted({config.window_short, min(4, config.window_long), config.window_long})
    for kind in ("rate", "lstm"):
        case = make(neuron_of(kind, memory, config.squash), coupling, config, seed)
        wanted = true_gradient(case)
        for steps in lengths:
            ideal.append(relative(torch.stack(estimates(case, steps, ideal_boundaries(case))).sum(dim=0), wanted))
            if kind == "lstm":
                series = estimates(case, steps, ideal_boundaries(case, output_gate=False))
                cell_only.append(relative(torch.stack(series).sum(dim=0), wanted))
            single.append(against_the_printed_sum(case, steps, seed))
    return {"eq70": max(ideal), "eq70_cell_only": min(cell_only), "eq69": max(single)}


def estimates(case: Case, steps: int, boundary_of: Boundaries) -> list[Tensor]:
    """e-prop 3's estimate from every window, [4 * unit, pre]; the last one has no boundary gradient."""
    layer = case.network.layer
    vectors = windows.no_eligibility_vectors(layer.weights, len(case.inputs))
    series, first = [], 0
    for trajectory in case.windows(steps):
        state, after = trajectory.state_after, first + len(trajectory.h)
        boundary = boundary_of(state, after) if after < case.inputs.shape[1] else windows.zero_boundary(state)
        d_h = case.by_outputs(trajectory.h, first)
        back = windows.backward_window(layer.w_rec, trajectory.jacobians, d_h, boundary, E_PROP_3)
        series.append(gradient(trajectory, back, boundary, vectors))
        first = after
    return series


def ideal_boundaries(case: Case, output_gate: bool = True) -> Boundaries:
    """Boundaries from autograd's dE/dc^(t+1); with what it leaves out for an LSTM, the path from h^t through the output
    gate of the next step."""
    error, states = unrolled(case)
    d_cell = torch.autograd.grad(error, [state.c for state in states], retain_graph=True)
    d_h = torch.autograd.grad(error, [state.h for state in states])
    layer = case.network.layer

    def boundary_of(after: LSTMState, t: int) -> BoundaryGradient:
        x = case.inputs[:, t]
        boundary = windows.boundary_from_prediction(layer.neuron, layer.weights, after, x, d_cell[t])
        _, _, local = case.step(layer.weights.concatenated(), after, x)
        through = (d_h[t] * local.direct) @ layer.w_rec.detach()[N_CELL_GATES * layer.n :]
        return BoundaryGradient(boundary.d_h + through, boundary.d_c) if output_gate else boundary

    return boundary_of


def against_the_printed_sum(case: Case, steps: int, seed: int) -> float:
    """The largest relative error of a window's estimate, with arbitrary boundaries.

    With ideal boundaries, those of neighbouring windows would cancel in the sum whatever the vectors are.
    """
    layer, random = case.network.layer, generator(seed, "theory", "boundary")
    shape = case.inputs.shape[1], len(case.inputs), layer.n
    predicted = torch.randn(*shape, generator=random, dtype=torch.float64)

    def boundary_of(after: LSTMState, t: int) -> BoundaryGradient:
        return windows.boundary_from_prediction(layer.neuron, layer.weights, after, case.inputs[:, t], predicted[t])

    pairs = zip(estimates(case, steps, boundary_of), printed_sum(case, steps, predicted), strict=True)
    return max(relative(*pair) for pair in pairs)


def printed_sum(case: Case, steps: int, predicted: Tensor) -> list[Tensor]:
    """Eq. 69 for every window: sum over its steps of L^t . epsilon^t, a matrix [unit, pre] for each gate, sequence and
    step; L by autograd from the errors of the window and the prediction [step, batch, unit] after it (Eq. 67)."""
    weights, state = case.network.layer.weights.concatenated(), case.initial_state()
    epsilon: Tensor | float = 0.0
    series = []
    for first in range(0, case.inputs.shape[1], steps):
        inputs = case.inputs[:, first : first + steps].unbind(dim=1)
        total = torch.zeros_like(weights)
        for x, signal in zip(inputs, window_signals(case, first, steps, state, predicted), strict=True):
            pre, state, local = case.step(weights, state, x)
            epsilon = local.d[:, None, :, None] * epsilon + torch.einsum("bgj,bi->bgji", local.by_gate, pre)
            by_state = torch.einsum("bj,bgji->gji", signal * local.output, epsilon)
            total += torch.cat([by_state.flatten(end_dim=1), (signal * local.direct).T @ pre])
        series.append(total)
    return series


def window_signals(case: Case, first: int, steps: int, state: LSTMState, predicted: Tensor) -> tuple[Tensor, ...]:
    """dE_m/dh of every step of a window, in total."""
    weights, after = case.network.layer.weights.concatenated(), first + steps
    outputs = []
    for x in case.inputs[:, first:after].unbind(dim=1):
        _, state, _ = case.step(weights, state, x)
        state = state if state.h.requires_grad else LSTMState(state.c, state.h.requires_grad_())
        outputs.append(state.h)
    total = case.error(torch.stack(outputs), first)
    if after < case.inputs.shape[1]:
        total = total + (predicted[after] * case.step(weights, state, case.inputs[:, after])[1].c).sum()
    return torch.autograd.grad(total, outputs)
