"""The paper's statements on gradients: measured as they should be, and a wrong trace or estimate is detected."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from repro.__main__ import main
from repro.eprop.kernels.events import delayed
from repro.eprop.neurons.lstm import LSTM, LSTMJacobians, LSTMState
from repro.eprop.neurons.rate import Rate
from repro.eprop.rules import windows
from repro.eprop.rules.windows import BoundaryGradient, WindowBackward, WindowTrajectory
from repro.errors import UserError
from repro.records.record import read_arrays, read_record
from repro.runs.run import run
from tasks.theory import costs, eq10, lstm, spiking
from tasks.theory.config import TASK, TheoryConfig
from tasks.theory.measure import measure
from tasks.theory.networks import Case, gradient, make, neuron_of, relative

EXACT, WRONG = 1e-10, 1e-3
SMOKE: TheoryConfig = TASK.resolve("measured", "smoke")
Measured = tuple[dict[str, float], dict[str, np.ndarray]]
Boundaries = Callable[[int, LSTMState], BoundaryGradient]  # of a window by its number, and the state after it


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(SMOKE, 0)


def test_identities_hold_to_rounding_and_their_controls_do_not(measured: Measured) -> None:
    metrics, _ = measured
    gates = {f"eq1_lstm_{gate}" for gate in ("input", "forget", "candidate", "output")}
    exact = {"eq1_lif", "eq1_alif", *gates, "eq70", "eq69", "alpha0"}
    assert exact < set(metrics)
    assert all(metrics[name] < EXACT for name in exact)
    assert metrics["eq1"] == max(metrics[name] for name in exact if name.startswith("eq1"))
    assert all(metrics[name] > WRONG for name in ("eq1_partial", "eq70_cell_only", "alpha0_with_memory"))


def test_scaling(measured: Measured) -> None:
    metrics, _ = measured
    assert 1 <= metrics["online_growth"] < 1.1 and metrics["online_bptt_growth"] > 2.5
    assert 1.7 < metrics["cost_simulation"] < 2.1 and 1.7 < metrics["cost_traces"] < 2.1
    assert 3.7 < metrics["cost_rtrl"] < 4.1


def test_the_map_has_its_axes_and_its_shares_are_of_its_cells(measured: Measured) -> None:
    metrics, arrays = measured
    along = [arrays[name] for name in ("explained", "window", "memory", "coupling")]
    assert [len(axis) for axis in along] == [5, 2, 2, 3]
    assert along[1].tolist() == [1, 4] and along[2].tolist() == [2, 8] and along[3][[0, -1]].tolist() == [0.0625, 4]
    for kind in ("rate", "lstm"):
        ratio = arrays[f"{kind}_ratio"]
        assert ratio.shape == tuple(len(axis) for axis in along) and (ratio > 0).all()
        assert metrics[f"eq10_{kind}_share"] == np.mean(ratio <= 1)
        assert metrics[f"eq10_{kind}_share_noise"] == np.mean(ratio[-1] <= 1)
        assert metrics[f"eq10_{kind}_worst"] == ratio.max()
        assert (ratio[:, :, :, 0] < 0.3).all()  # next to no coupling: e-prop 3 hardly needs the boundary


def test_a_seed_gives_the_same_numbers_and_another_others(measured: Measured) -> None:
    again, other = (eq10.eq10(SMOKE, seed)[1]["lstm_ratio"] for seed in (0, 1))
    assert np.array_equal(again, measured[1]["lstm_ratio"])
    assert not np.allclose(other, again, rtol=0.01)


def test_control_a_trace_with_a_wrong_presynaptic_term(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spiking, "delayed", lambda z, before: z)  # this step's spikes in place of the last one's
    found = spiking.eq1(SMOKE, 0)
    assert found["eq1_lif"] > WRONG and found["eq1_alif"] > WRONG


def test_control_the_input_gate_s_trace_as_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    step = LSTM.step

    def printed(self: LSTM, c: Tensor, currents: Tensor) -> tuple[LSTMState, LSTMJacobians]:
        state, local = step(self, c, currents)
        by_gate = local.by_gate.clone()
        by_gate[:, 0] /= currents.chunk(4, dim=1)[0].sigmoid()  # 1 - i where it is i (1 - i)
        return state, local._replace(by_gate=by_gate)

    monkeypatch.setattr(LSTM, "step", printed)
    found = lstm.eq1(SMOKE, 0)
    assert found["eq1_lstm_input"] > WRONG
    assert all(error < EXACT for name, error in found.items() if name != "eq1_lstm_input")


def test_control_vectors_that_are_not_carried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only single windows show it: in the sum over windows with ideal boundaries, neighbouring edges cancel."""

    def fresh(t: WindowTrajectory, back: WindowBackward, boundary: BoundaryGradient, vectors: Tensor) -> Tensor:
        return gradient(t, back, boundary, vectors.clone())

    monkeypatch.setattr(lstm, "gradient", fresh)
    assert lstm.eq70(SMOKE, 0)["eq69"] > WRONG


@pytest.mark.parametrize("kind", ["rate", "lstm"])
def test_the_backward_pass_in_windows_is_autograds(kind: str) -> None:
    case = make(neuron_of(kind, 4.0, squash=True), 0.8, SMOKE, 3)
    boundary_of = lstm.ideal_boundaries(case)
    *inner, last = eq10.backward_pass(case, 3)
    for m, window in enumerate(inner, start=1):
        boundary = boundary_of(window.trajectory.state_after, 3 * m)
        assert max(relative(*pair) for pair in zip(window.boundary, boundary, strict=True)) < EXACT
    assert not last.boundary.d_h.any() and not last.boundary.d_c.any()


def estimate(case: Case, steps: int, carried: bool, boundary_of: Boundaries) -> Tensor:
    """The sum over windows by the rules as they train."""
    trajectories, layer = case.windows(steps), case.network.layer
    vectors = windows.no_eligibility_vectors(layer.weights, len(case.inputs)) if carried else None
    total = torch.zeros_like(case.parameters())
    for m, trajectory in enumerate(trajectories):
        after = trajectory.state_after
        boundary = boundary_of(m, after) if m < len(trajectories) - 1 else windows.zero_boundary(after)
        d_h = case.by_outputs(trajectory.h, m * steps)
        back = windows.backward_window(layer.w_rec, trajectory.jacobians, d_h, boundary, lstm.E_PROP_3)
        total += gradient(trajectory, back, boundary, vectors)
    return total


def by_trial(case: Case, steps: int) -> np.ndarray:
    """Expected squared errors [bias or noise, rule] of one sequence, by the rules, one nudged value after the other."""
    truth, ideal, layer = lstm.true_gradient(case), lstm.ideal_boundaries(case), case.network.layer
    error, states = lstm.unrolled(case)
    by_cell = torch.autograd.grad(error, [state.c for state in states])

    def off(carried: bool, boundary_of: Boundaries) -> float:
        return float((estimate(case, steps, carried, boundary_of) - truth).square().sum())

    def nudged(m: int, after: LSTMState, perturbed: int, unit: int) -> BoundaryGradient:
        boundary, next_input = ideal(after, (m + 1) * steps), case.inputs[:, (m + 1) * steps]
        nudge = torch.zeros(1, layer.n, dtype=torch.float64)
        nudge[0, unit] = m == perturbed
        more = windows.boundary_from_prediction(layer.neuron, layer.weights, after, next_input, nudge)
        return BoundaryGradient(boundary.d_h + more.d_h, boundary.d_c + more.d_c)

    found = np.zeros((2, 2))
    for rule, carried in enumerate((False, True)):
        found[0, rule] = off(carried, lambda _, after: windows.zero_boundary(after))
        for edge in range(-(-SMOKE.steps // steps) - 1):
            size = float(by_cell[(edge + 1) * steps].square().mean())
            for unit in range(layer.n):
                found[1, rule] += size * off(carried, functools.partial(nudged, perturbed=edge, unit=unit))
    return found


@pytest.mark.parametrize("kind", ["rate", "lstm"])
def test_squared_errors_are_those_of_the_rules_as_they_train(kind: str) -> None:
    config = dataclasses.replace(SMOKE, batch_size=3)
    case = make(neuron_of(kind, 4.0, squash=False), 0.8, config, 1)
    found = eq10.squared_errors(case, 5)
    alone = [Case(case.network, case.inputs[k : k + 1], case.target[:, k : k + 1]) for k in range(3)]
    wanted = np.mean([by_trial(one, 5) for one in alone], axis=0)
    assert found == pytest.approx(wanted, rel=1e-9)
    assert found != pytest.approx(wanted[:, ::-1], rel=0.01)  # control: the rules exchanged
    assert found != pytest.approx(wanted[::-1], rel=0.01)


def test_ratios_are_those_of_predictions_that_explain_a_share() -> None:
    errors = np.array([[2.0, 1.0], [3.0, 9.0]])
    found = eq10.ratios(errors, [0, 0.25, 0.5, 1])
    for q, ratio in zip((0, 0.25, 0.5), found, strict=False):
        bptt, e_prop = (1 - q) ** 2 * errors[0] + q * (1 - q) * errors[1]
        assert ratio == pytest.approx(e_prop / bptt)
    assert found[[0, -1]] == pytest.approx([0.5, 3])


def test_rtrl_is_the_gradient() -> None:
    case = spiking.spiking(Rate(0.8), dataclasses.replace(SMOKE, batch_size=1), 0)
    layer = case.layer
    trajectory, _ = layer.simulate(case.inputs)
    z, _ = layer.unroll(case.inputs)
    assert layer.w_rec is not None
    (wanted,) = torch.autograd.grad(case.error(z), layer.w_rec)
    signal = case.by_outputs(trajectory.z)
    assert relative(costs.rtrl(layer, case.inputs, trajectory, signal), wanted) < EXACT
    traces = costs.traces(layer, case.inputs, trajectory, signal).fill_diagonal_(0)
    assert relative(traces, wanted) > WRONG  # e-prop 1 leaves the other neurons out ...
    delta = layer.neuron.e_prop_delta(trajectory, signal)
    sent = delayed(trajectory.z, trajectory.before.z)
    assert relative(traces, torch.einsum("btj,bti->ji", delta, sent).fill_diagonal_(0)) < EXACT  # ... and nothing else


def test_a_tally_counts_multiplications_and_what_is_held() -> None:
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    with costs.Tally() as tally:
        c = a @ b
        d = c.view(15)
        assert (tally.operations, tally.held) == (60, 60)
        d = d + 1
        assert (tally.operations, tally.held, tally.peak) == (75, 120, 120)
        del c, d
        assert (tally.held, tally.peak) == (0, 120)
        e = torch.zeros(2, dtype=torch.float64)
    assert (tally.held, tally.peak) == (16, 120) and e.numel() == 2


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("memory_low=100", "memory_low=100 with memory_high=32: the axis goes from low to high"),
        ("window_long=64", "the longest is shorter than a sequence"),
        ("n_rec=1", "n_rec lies between"),
    ],
)
def test_values_that_do_not_go_together(key: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        TASK.resolve("measured", "paper", dict([key.split("=")]))


def test_a_measurement_writes_the_same_kind_of_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "theory", "--profile", "smoke", "--out", str(tmp_path)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("theory measured seed 0: finished, eq1_lif ")
    (folder,) = tmp_path.glob("theory/measured-*/seed-0")
    record = read_record(folder)
    assert (record.status, record.profile, record.device, record.weights_sha256) == ("finished", "smoke", "cpu", "")
    assert record.config == dataclasses.asdict(SMOKE) and record.metrics["eq1"] < EXACT
    assert set(read_arrays(folder, record)) > {"rate_ratio", "lstm_ratio", "coupling"}
    events = [json.loads(line)["event"] for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert events == ["started", "finished"]
    assert main(words) == 0
    assert "already finished" in capsys.readouterr().out


def test_a_measurement_wants_no_gpu_and_other_tasks_want_a_variant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="theory is measured on the CPU"):
        run(TASK, "measured", "smoke", 0, out=tmp_path, device="cuda")
    assert not list(tmp_path.iterdir())
    assert main(["run", "pattern_generation", "--out", str(tmp_path)]) == 2
    assert "which variant of pattern_generation? --variant names one of bptt" in capsys.readouterr().err
