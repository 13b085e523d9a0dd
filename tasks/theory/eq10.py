"""Eq. 10: is e-prop 3's estimate nearer to the gradient than that of truncated BPTT with the same synthetic gradients?

Both estimates, summed over windows (Eq. 65, 70), are affine in the boundary values, and both are the gradient when
these are ideal. So the error of an estimate is linear in the errors of the predictions, and its expected square needs
no sampling. A prediction SG that explains a share q of the ideal value's variance, as least squares (Eq. 66) would have
it, is q times the ideal value plus independent noise, whose variance is q (1 - q) times the ideal's mean square. Its
expected squared error is then (1 - q)^2 `bias` + q (1 - q) `noise`, with

    bias    of an estimate whose synthetic gradients are zero
    noise   of one whose synthetic gradients are ideal, but for independent noise as large as themselves

and in the ratio of two estimates a factor 1 - q cancels: how large noise is matters against the bias alone. The limit
q = 1 is that of noise without bias, whatever its size.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.eprop.neurons.lstm import N_CELL_GATES, LSTMJacobians, LSTMState
from repro.eprop.rules import windows
from repro.eprop.rules.rule import EProp3
from repro.eprop.rules.windows import BoundaryGradient, WindowBackward, WindowTrajectory
from tasks.theory.config import TheoryConfig
from tasks.theory.networks import Case, gradient, make, neuron_of

KINDS = ("rate", "lstm")
E_PROP_3 = EProp3().window_rule()


class TrueWindow(NamedTuple):
    """A window of full BPTT: its trajectory, its backward pass with the ideal boundary, and the mean square over units
    [batch] of dE/dc^(t+1) at the step after it, which a synthetic gradient is to predict."""

    trajectory: WindowTrajectory
    backward: WindowBackward
    boundary: BoundaryGradient
    target_square: Tensor


def axes(config: TheoryConfig) -> dict[str, np.ndarray]:
    """Window lengths and memories in steps, couplings, shares explained."""
    lengths = np.geomspace(config.window_short, config.window_long, config.windows).round()
    return {
        "window": np.unique(lengths),
        "memory": np.geomspace(config.memory_low, config.memory_high, config.memories),
        "coupling": np.geomspace(config.coupling_low, config.coupling_high, config.couplings),
        "explained": np.linspace(0, 1, config.explained_levels),
    }


def eq10(config: TheoryConfig, seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Shares of the map's cells in which Eq. 10 holds and the worst ratio, and the map.

    Arrays, of "rate" and "lstm" networks each: `_squared_error` [bias or noise, BPTT or e-prop 3, window, memory,
    coupling], means over sequences, and `_ratio` [explained, window, memory, coupling].
    """
    along = axes(config)
    metrics: dict[str, float] = {}
    arrays = dict(along)
    for kind in KINDS:
        errors = np.empty((2, 2, *(len(along[name]) for name in ("window", "memory", "coupling"))))
        for m, memory in enumerate(along["memory"]):
            for c, coupling in enumerate(along["coupling"]):
                case = make(neuron_of(kind, memory, config.squash), coupling, config, seed)
                errors[:, :, :, m, c] = np.stack([squared_errors(case, int(k)) for k in along["window"]], axis=-1)
        ratio = ratios(errors, along["explained"])
        arrays |= {f"{kind}_squared_error": errors, f"{kind}_ratio": ratio}
        holds = ratio <= 1
        metrics |= {
            f"eq10_{kind}_share": float(holds.mean()),
            f"eq10_{kind}_share_zero": float(holds[0].mean()),
            f"eq10_{kind}_share_noise": float(holds[-1].mean()),
            f"eq10_{kind}_worst": float(ratio.max()),
        }
    metrics["eq10_share"] = float(np.mean([metrics[f"eq10_{kind}_share"] for kind in KINDS]))
    return metrics, arrays


def ratios(errors: np.ndarray, explained: Iterable[float]) -> np.ndarray:
    """Expected squared error of e-prop 3 over that of BPTT, [explained, ...], from [bias or noise, rule, ...]."""
    mixed = np.stack([(1 - q) * errors[0] + q * errors[1] for q in explained])
    return mixed[:, 1] / mixed[:, 0]


def squared_errors(case: Case, steps: int) -> np.ndarray:
    """Expected squared errors [bias or noise, BPTT or e-prop 3] of the estimates from windows of `steps` steps, summed
    over weights, means over sequences."""
    vectors = windows.no_eligibility_vectors(case.network.layer.weights, len(case.inputs))
    bias, noise = torch.zeros(()), torch.zeros(2, dtype=torch.float64)
    for m, window in enumerate(backward_pass(case, steps)[:-1]):  # after the last there is nothing to predict
        before = vectors.clone()
        gradient(window.trajectory, window.backward, window.boundary, vectors)
        response = responses(case, window, case.inputs[:, (m + 1) * steps], before, vectors)
        noise += (window.target_square * response[:, :, :-1].square().sum(dim=(2, 3, 4))).mean(dim=1)
        bias = bias + response[:, :, -1]
    return torch.stack([bias.square().sum(dim=(2, 3)).mean(dim=1), noise]).numpy()


def backward_pass(case: Case, steps: int) -> list[TrueWindow]:
    """Full BPTT in windows of `steps` steps; the gradient at the left edge of one is the boundary of the one before."""
    w_rec, trajectories, series = case.network.layer.w_rec.detach(), case.windows(steps), []
    boundary = windows.zero_boundary(trajectories[-1].state_after)
    square = torch.zeros(len(case.inputs), dtype=torch.float64)
    for m, trajectory in reversed(list(enumerate(trajectories))):
        d_h = case.by_outputs(trajectory.h, m * steps)
        back = windows.backward_window(w_rec, trajectory.jacobians, d_h, boundary, E_PROP_3)
        series.append(TrueWindow(trajectory, back, boundary, square))
        boundary = BoundaryGradient(back.d_current[0].flatten(start_dim=1) @ w_rec, back.d_cell_before_window)
        square = back.d_cell_first_step.square().mean(dim=1)
    return series[::-1]


def responses(case: Case, window: TrueWindow, next_input: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """The change of a window's estimates by boundary values, [BPTT or e-prop 3, batch, value, 4 * unit, pre].

    The values are a prediction of 1 for each unit in turn, 0 for the others, and last the ideal boundary. `next_input`
    [batch, input] is the input of the step after the window; `before` and `after` [unit, batch, 3, pre] are the
    eligibility vectors at its edges.
    """
    layer, trajectory, (batch, n) = case.network.layer, window.trajectory, window.boundary.d_h.shape
    state = LSTMState(*(x.repeat_interleave(n, dim=0) for x in trajectory.state_after))
    one_each = torch.eye(n, dtype=torch.float64).repeat(batch, 1)
    x = next_input.repeat_interleave(n, dim=0)
    unit = windows.boundary_from_prediction(layer.neuron, layer.weights, state, x, one_each)
    pairs = zip(unit, window.boundary, strict=True)
    values = [torch.cat([x.view(batch, n, n), y[:, None]], dim=1) for x, y in pairs]
    boundary = BoundaryGradient(*(x.flatten(end_dim=1) for x in values))
    local = LSTMJacobians(*(x.repeat_interleave(n + 1, dim=1) for x in trajectory.jacobians))
    d_h = trajectory.h.new_zeros(len(trajectory.h), batch * (n + 1), n)
    back = windows.backward_window(layer.w_rec, local, d_h, boundary, E_PROP_3)
    d_current = back.d_current.view(len(d_h), batch, n + 1, -1)
    bptt = torch.einsum("tbvk,tbi->bvki", d_current, trajectory.presynaptic)
    at_cell = torch.einsum("bvj,jbgi->bvgji", back.d_cell_before_window.view(batch, n + 1, n), before)
    at_cell -= torch.einsum("bvj,jbgi->bvgji", boundary.d_c.view(batch, n + 1, n), after)
    e_prop = bptt.clone()
    e_prop[:, :, : N_CELL_GATES * n] += at_cell.flatten(start_dim=2, end_dim=3)
    return torch.stack([bptt, e_prop])
