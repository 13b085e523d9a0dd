"""Eq. 10 with trained synthetic gradients: how far the two estimates of a gradient are from the true one in training.

Compared are e-prop 3 and truncated BPTT with the same windows and the same synthetic gradients, at the same weights. An
estimate is the sum over the windows of a sequence, with no update between them, of the gradient of the LSTM's weights;
the true gradient is that of BPTT through the whole sequence (`tasks.theory.eq10` has the same for small networks and
predictions with independent noise).
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.eprop.rules import windows
from repro.eprop.rules.rule import EProp3
from repro.eprop.rules.windows import BoundaryGradient, WindowTrajectory
from repro.runs.observer import EachIteration
from repro.runs.recorder import Recorder
from tasks.copy_repeat.data import CopyWindow, in_windows
from tasks.copy_repeat.sequences import Level, sequences

MEASURED_AFTER = (30, 100, 300, 1000, 3000, 10_000)  # batches of training
SEQUENCES = 32  # fresh ones, of the curriculum's level
WINDOW = 4  # steps, whatever the module itself is trained with
E_PROP_3 = EProp3().window_rule()
BOUNDARIES = ("zero", "used", "whole")
MEASURED = (*(f"{rule}_{name}" for rule in ("bptt", "e_prop_3") for name in BOUNDARIES), "explained", "measured_length")


def metrics(series: Mapping[str, Any]) -> dict[str, float]:
    """The measured series of a record as NAME_BATCHES -> number."""
    return {
        f"{name}_{after}": float(value)
        for name in MEASURED
        for after, value in zip(MEASURED_AFTER, series.get(name, ()), strict=False)
    }


class EstimateErrors(EachIteration):
    """Measures the errors of both estimates now and then, as series of the record (see `errors_of_estimates`)."""

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """See `EachIteration.after_iteration`."""
        if recorder.done in MEASURED_AFTER:
            level = trainer.datamodule.curriculum.level  # type: ignore[attr-defined]
            for name, value in errors_of_estimates(pl_module, level, recorder.done).items():
                recorder.add(name, value)


def errors_of_estimates(module: Any, level: Level, index: int) -> dict[str, float]:
    """Squared errors of both estimates over the mean square of the true gradient, all summed over weights, means over
    fresh sequences of `level`; the share of the ideal boundary's square that the predictions explain; the level's
    length in steps.

    `bptt_NAME` and `e_prop_3_NAME` with boundaries of zero ("zero"), with the predictions times eta_SG, as Algorithm 1
    uses them ("used"), and with the predictions as they are ("whole").
    """
    made = sequences(level, SEQUENCES, module.seed, "estimates", index)
    made = made._replace(inputs=made.inputs.to(module.device), target=made.target.to(module.device))
    factors = dict(zip(BOUNDARIES, (0.0, float(module.config.synthetic_factor), 1.0), strict=True))
    sums: dict[str, float] = {}
    for k in range(SEQUENCES):
        one = made._replace(inputs=made.inputs[k : k + 1], target=made.target[k : k + 1])
        for name, value in _of_sequence(module, in_windows(one, WINDOW), factors).items():
            sums[name] = sums.get(name, 0.0) + float(value)
    square, ideal, missed = (sums.pop(name) for name in ("square", "ideal", "missed"))
    explained = 1 - missed / ideal if ideal else 0.0
    return {name: value / square for name, value in sums.items()} | {
        "explained": explained,
        "measured_length": float(level.length),
    }


@torch.no_grad()
def _of_sequence(module: Any, series: list[CopyWindow], factors: Mapping[str, float]) -> dict[str, Tensor]:
    """Squares of one sequence: of the true gradient, of the errors of the estimates, of the ideal dE/dc after each
    window, and of what the predictions miss of it."""
    trajectories, signals = _forward(module, series)
    true, ideal = _true_gradient(module, trajectories, signals)
    predicted = [module.predictor(trajectory.state_after.h) for trajectory in trajectories[:-1]]
    squares = {
        "square": true.square().sum(),
        "ideal": torch.cat(ideal).square().sum(),
        "missed": (torch.cat(ideal) - torch.cat(predicted)).square().sum(),
    }
    for name, factor in factors.items():
        boundaries = [
            _boundary(module, window, trajectory, factor * d_cell)
            for window, trajectory, d_cell in zip(series, trajectories, predicted, strict=False)
        ]
        bptt, e_prop = _estimates(module, trajectories, signals, boundaries)
        squares |= {f"bptt_{name}": (bptt - true).square().sum(), f"e_prop_3_{name}": (e_prop - true).square().sum()}
    return squares


def _forward(module: Any, series: list[CopyWindow]) -> tuple[list[WindowTrajectory], list[Tensor]]:
    """The windows' trajectories, and dE/dh [step, batch, unit] of their errors alone."""
    layer, trajectories, signals = module.network.layer, [], []
    state = layer.initial_state(len(series[0].this.inputs))
    for window in series:
        trajectory = windows.forward_window(layer.neuron, layer.weights, window.this.inputs, state)
        with torch.enable_grad():
            h = trajectory.h.transpose(0, 1).requires_grad_()
            error = module.errors(h, (window.this.target, window.this.first_target_step))
            (d_h,) = torch.autograd.grad(error, h)
        state = trajectory.state_after
        trajectories.append(trajectory)
        signals.append(d_h.transpose(0, 1))
    return trajectories, signals


def _true_gradient(
    module: Any, trajectories: list[WindowTrajectory], signals: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """BPTT through all windows: the gradient [4 unit, pre], and dE/dc at the first step of every window but the first,
    which a synthetic gradient is to predict."""
    w_rec = module.network.layer.w_rec.detach()
    boundary = windows.zero_boundary(trajectories[-1].state_after)
    total, ideal = torch.zeros(()), []
    for trajectory, d_h in zip(reversed(trajectories), reversed(signals), strict=True):
        back = windows.backward_window(w_rec, trajectory.jacobians, d_h, boundary, E_PROP_3)
        total = total + windows.weight_gradient(trajectory.presynaptic, trajectory.jacobians, back, boundary, None)
        boundary = BoundaryGradient(back.d_current[0].flatten(start_dim=1) @ w_rec, back.d_cell_before_window)
        ideal.append(back.d_cell_first_step)
    return total, ideal[-2::-1]


def _boundary(module: Any, window: CopyWindow, trajectory: WindowTrajectory, d_cell: Tensor) -> BoundaryGradient:
    layer, after, x = module.network.layer, trajectory.state_after, window.this.next_input
    assert x is not None
    return windows.boundary_from_prediction(layer.neuron, layer.weights, after, x, d_cell)


def _estimates(
    module: Any, trajectories: list[WindowTrajectory], signals: list[Tensor], boundaries: list[BoundaryGradient]
) -> tuple[Tensor, Tensor]:
    """The gradients [4 unit, pre] of truncated BPTT and of e-prop 3, sums over windows; after the last window there is
    no boundary."""
    layer, bptt, e_prop = module.network.layer, torch.zeros(()), torch.zeros(())
    vectors = windows.no_eligibility_vectors(layer.weights, 1)
    last = windows.zero_boundary(trajectories[-1].state_after)
    for trajectory, d_h, boundary in zip(trajectories, signals, [*boundaries, last], strict=True):
        back = windows.backward_window(layer.w_rec, trajectory.jacobians, d_h, boundary, E_PROP_3)
        given = trajectory.presynaptic, trajectory.jacobians, back, boundary
        bptt = bptt + windows.weight_gradient(*given, None)
        e_prop = e_prop + windows.weight_gradient(*given, vectors)
    return bptt, e_prop
