"""Errors of both estimates of Eq. 10 in training: against autograd, and against what Algorithm 1 delivers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.errors import UserError
from repro.runs.run import run
from tasks.copy_repeat import estimates
from tasks.copy_repeat.config import CopyRepeatConfig
from tasks.copy_repeat.data import CopyWindow, in_windows
from tasks.copy_repeat.module import CopyRepeatModule
from tasks.copy_repeat.sequences import Level, sequences
from tests.tasks.test_copy_repeat import TASK, W_REC, gradients, made

LEVEL = Level(2, 2)


def trained(**values: Any) -> CopyRepeatModule:
    """A module in double precision whose synthetic gradients are not zero."""
    module = made("e_prop_3", synthetic_into_network=False, **values).double()
    with torch.no_grad():
        module.predictor.out.normal_(generator=torch.Generator().manual_seed(1))
    return module


def one_sequence(module: CopyRepeatModule) -> list[CopyWindow]:
    made_up = sequences(LEVEL, 1, module.seed, "a test", 0)
    return in_windows(made_up._replace(inputs=made_up.inputs.double()), estimates.WINDOW)


def by_autograd(module: CopyRepeatModule, series: list[CopyWindow]) -> Tensor:
    """dE/dtheta of the LSTM's weights through the whole sequence, [4 unit, pre]."""
    layer = module.network.layer
    weights, state, error = layer.weights.concatenated().requires_grad_(), layer.initial_state(1), torch.zeros(())
    for window in series:
        outputs = []
        for x in window.this.inputs.unbind(dim=1):
            presynaptic = torch.cat([x, state.h, x.new_ones(1, 1)], dim=1)
            state, _ = layer.neuron.step(state.c, presynaptic @ weights.T)
            outputs.append(state.h)
        error = error + module.errors(torch.stack(outputs, dim=1), (window.this.target, window.this.first_target_step))
    return torch.autograd.grad(error, weights)[0]


def test_the_true_gradient_is_autograd_s() -> None:
    module = trained()
    series = one_sequence(module)
    true, ideal = estimates._true_gradient(module, *estimates._forward(module, series))
    torch.testing.assert_close(true, by_autograd(module, series), rtol=1e-9, atol=1e-9)
    assert len(ideal) == len(series) - 1
    alone, _ = estimates._true_gradient(module, *estimates._forward(module, series[:1]))
    assert not torch.allclose(alone, true, rtol=1e-2)  # control: without the later windows


def test_e_prop_3_s_estimate_is_what_training_delivers() -> None:
    module = trained()
    series = one_sequence(module)
    trajectories, signals = estimates._forward(module, series)
    factor, predictor = module.config.synthetic_factor, module.predictor
    assert predictor is not None
    with torch.no_grad():
        predicted = [factor * predictor(t.state_after.h) for t in trajectories[:-1]]
        pairs = zip(series, trajectories, predicted, strict=False)
        boundaries = [estimates._boundary(module, *values) for values in pairs]
        bptt, e_prop = estimates._estimates(module, trajectories, signals, boundaries)
    columns = module.network.layer.w_in.shape[1]
    delivered = gradients(module, series)[W_REC]
    torch.testing.assert_close(e_prop[:, columns:-1], delivered, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(bptt[:, columns:-1], delivered, rtol=1e-2)  # control


def test_predictions_of_zero_explain_nothing_and_windows_of_a_whole_sequence_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fresh = estimates.errors_of_estimates(made("e_prop_3"), LEVEL, 0)
    assert set(fresh) == set(estimates.MEASURED)
    assert fresh["explained"] == 0 and fresh["measured_length"] == 9
    for rule in ("bptt", "e_prop_3"):
        assert fresh[f"{rule}_zero"] == fresh[f"{rule}_used"] == fresh[f"{rule}_whole"] > 1e-3
    monkeypatch.setattr(estimates, "WINDOW", LEVEL.length - 1)
    longer = estimates.errors_of_estimates(made("e_prop_3"), LEVEL, 0)
    assert longer["bptt_zero"] < 0.5 * fresh["bptt_zero"]


def test_measurements_are_in_the_record_and_change_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "MEASURED_AFTER", (2, 5))
    with_them, without = (run(TASK, "e_prop_3", "tiny", 0, {"estimate_errors": x}, tmp_path) for x in ("true", "false"))
    assert with_them.weights_sha256 == without.weights_sha256
    assert {"bptt_used_2", "e_prop_3_whole_5", "explained_5"} < set(with_them.metrics)
    assert not any(name.endswith("_5") for name in without.metrics)


def test_a_rule_without_synthetic_gradients_is_refused() -> None:
    with pytest.raises(UserError, match="estimate_errors=true"):
        CopyRepeatConfig(estimate_errors=True, synthetic=False)
