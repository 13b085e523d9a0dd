"""Equations 1, 69 and 70 for gated units: our rules on one side, autograd on the other."""

from collections.abc import Callable

import torch
from torch import Tensor

from repro.eprop.neurons.lstm import GATES, N_CELL_GATES, LSTMState
from repro.rules import windows
from repro.rules.windows import Edge, WindowRule
from repro.runs.seeds import generator
from tasks.theory.config import TheoryConfig
from tasks.theory.networks import Case, joined, make, neuron_of, relative, typical

GIVEN_SIGNALS = WindowRule(recurrence=False, synthetic=False)  # sum_t L e with learning signals as they are
Bound = Callable[[LSTMState, int], Edge]  # the state after a window and the step after it -> the right edge


def unrolled(case: Case) -> tuple[Tensor, list[LSTMState]]:
    """E and the state after every step, on autograd's tape."""
    network, weights = case.network, case.parameters()
    batch = len(case.inputs)
    state, states = network.neuron.initial_state(batch, network.n, network.w_in), []
    for arriving in case.inputs.unbind(dim=1):
        pre = torch.cat([arriving, state.h, arriving.new_ones(batch, 1)], dim=1)
        state, _ = network.neuron.step(state.c, pre @ weights.T)
        states.append(state)
    return case.error(torch.stack([state.h for state in states])), states


def true_gradient(case: Case) -> Tensor:
    """dE/dtheta by autograd, [4 * unit, pre]."""
    names = ("w_in", "w_rec", "bias")
    found = torch.autograd.grad(unrolled(case)[0], [case.network.get_parameter(name) for name in names])
    return joined(dict(zip(names, found, strict=True)))


def eq1(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Eq. 1 for the weights of every gate, with L = dE/dh^t in total by autograd."""
    memory, coupling = typical(config)
    case = make(neuron_of("lstm", memory, config.squash), coupling, config, seed)
    error, states = unrolled(case)
    signal = torch.stack(torch.autograd.grad(error, [state.h for state in states]))
    (walk,) = case.windows(config.steps)
    edge = windows.no_edge(walk.after)
    back = windows.backward(case.network, walk, signal, edge, GIVEN_SIGNALS)
    found = joined(windows.gradient(case.network, walk, back, edge, None)).chunk(len(GATES))
    wanted = true_gradient(case).chunk(len(GATES))
    return {f"eq1_lstm_{gate}": relative(*pair) for gate, *pair in zip(GATES, found, wanted, strict=True)}


def eq70(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Windows with ideal boundaries against the true gradient, the same without an LSTM's way through its output gate
    (which must be seen); and the estimate of single windows with an arbitrary boundary against Eq. 69 as printed."""
    memory, coupling = typical(config)
    ideal, cell_only, single = [], [], []
    lengths = sorted({config.window_short, min(4, config.window_long), config.window_long})
    for kind in ("rate", "lstm"):
        case = make(neuron_of(kind, memory, config.squash), coupling, config, seed)
        wanted = true_gradient(case)
        for steps in lengths:
            ideal.append(relative(torch.stack(estimates(case, steps, ideal_bound(case))).sum(dim=0), wanted))
            if kind == "lstm":
                found = estimates(case, steps, ideal_bound(case, output_gate=False))
                cell_only.append(relative(torch.stack(found).sum(dim=0), wanted))
            single.append(against_the_printed_sum(case, steps, seed))
    return {"eq70": max(ideal), "eq70_cell_only": min(cell_only), "eq69": max(single)}


def estimates(case: Case, steps: int, bound: Bound) -> list[Tensor]:
    """e-prop 3's estimate from every window, [4 * unit, pre]; none looks beyond the last."""
    network, rule = case.network, WindowRule()
    vectors = windows.no_vectors(network, len(case.inputs))
    found, first = [], 0
    for walk in case.windows(steps):
        after = first + len(walk.h)
        edge = bound(walk.after, after) if after < case.inputs.shape[1] else windows.no_edge(walk.after)
        back = windows.backward(network, walk, case.by_outputs(walk.h, first), edge, rule)
        found.append(joined(windows.gradient(network, walk, back, edge, vectors)))
        first = after
    return found


def ideal_bound(case: Case, output_gate: bool = True) -> Bound:
    """Boundaries from autograd's dE/dc^(t+1); with what it leaves out for an LSTM, the way from h^t through the next
    step's output gate."""
    error, states = unrolled(case)
    by_cell = torch.autograd.grad(error, [state.c for state in states], retain_graph=True)
    by_h = torch.autograd.grad(error, [state.h for state in states])
    network = case.network

    def bound(after: LSTMState, t: int) -> Edge:
        edge = windows.synthetic_edge(network, after, case.inputs[:, t], by_cell[t])
        _, _, local = network.step(network.weights(), after, case.inputs[:, t])
        through = (by_h[t] * local.direct) @ network.w_rec.detach()[N_CELL_GATES * network.n :]
        return Edge(edge.by_h + through, edge.by_c) if output_gate else edge

    return bound


def against_the_printed_sum(case: Case, steps: int, seed: int) -> float:
    """The largest relative error of a window's estimate, boundaries being arbitrary.

    With ideal boundaries, neighbours' edges would cancel in the sum whatever the vectors are.
    """
    network = case.network
    random = generator(seed, "theory", "boundary")
    shape = case.inputs.shape[1], len(case.inputs), network.n
    predicted = torch.randn(*shape, generator=random, dtype=torch.float64)
    found = estimates(
        case, steps, lambda after, t: windows.synthetic_edge(network, after, case.inputs[:, t], predicted[t])
    )
    wanted = printed_sum(case, steps, predicted)
    return max(relative(*pair) for pair in zip(found, wanted, strict=True))


def printed_sum(case: Case, steps: int, predicted: Tensor) -> list[Tensor]:
    """Eq. 69 for every window: sum over its steps of L^t . epsilon^t, a matrix [unit, pre] for each gate, sequence and
    step; L by autograd from the window's own errors and the prediction [step, batch, unit] beyond it (Eq. 67)."""
    network, weights = case.network, case.network.weights()
    state = network.neuron.initial_state(len(case.inputs), network.n, network.w_in)
    epsilon: Tensor | float = 0.0
    found = []
    for first in range(0, case.inputs.shape[1], steps):
        arriving = case.inputs[:, first : first + steps].unbind(dim=1)
        total = torch.zeros_like(weights)
        for x, signal in zip(arriving, window_signals(case, first, steps, state, predicted), strict=True):
            pre, state, local = network.step(weights, state, x)
            fresh = torch.einsum("bgj,bi->bgji", local.by_gate, pre)
            epsilon = local.d[:, None, :, None] * epsilon + fresh
            by_state = torch.einsum("bj,bgji->gji", signal * local.output, epsilon)
            total += torch.cat([by_state.flatten(end_dim=1), (signal * local.direct).T @ pre])
        found.append(total)
    return found


def window_signals(case: Case, first: int, steps: int, state: LSTMState, predicted: Tensor) -> tuple[Tensor, ...]:
    """dE_m/dh of every step of a window, in total."""
    network, weights, after = case.network, case.network.weights(), first + steps
    outputs = []
    for x in case.inputs[:, first:after].unbind(dim=1):
        _, state, _ = network.step(weights, state, x)
        state = state if state.h.requires_grad else LSTMState(state.c, state.h.requires_grad_())
        outputs.append(state.h)
    total = case.error(torch.stack(outputs), first)
    if after < case.inputs.shape[1]:
        total = total + (predicted[after] * network.step(weights, state, case.inputs[:, after])[1].c).sum()
    return torch.autograd.grad(total, outputs)
