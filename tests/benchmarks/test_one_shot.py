"""The benchmark of e-prop 2 in a tiny size: who does not learn the same from a trial is not timed."""

import pytest
import torch

from benchmarks import agreement, batches, catalogue, contenders, measure, names, one_shot, worker
from benchmarks.measure import ask
from benchmarks.problem import Problem
from repro.errors import RunFailed
from tests.benchmarks.conftest import NO_PEAK
from tests.benchmarks.sizes import SIZES

WHO = catalogue.BENCHES["arm_reaching"].who
SIZE = SIZES["arm_reaching"]


@pytest.fixture
def problem() -> Problem:
    return Problem("arm_reaching", SIZE)


def test_both_networks_agree_and_fire(problem) -> None:
    agreed = agreement.check(problem, WHO)
    assert agreed["exact"] < 1e-12
    assert agreed["single"] is None  # rounding moves spikes
    assert 5 < (agreed["rate_hz"] or 0) < 60  # settled


def test_who_learns_nothing_from_the_trial_is_not_timed(problem, monkeypatch) -> None:
    trial = one_shot.trial

    def idle(module, w_in, w_rec, inputs, targets, learns):
        return trial(module, w_in, w_rec, inputs, targets, learns=False)

    monkeypatch.setattr(one_shot, "trial", idle)
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.check(problem, WHO)


def test_who_learns_by_another_trace_is_not_timed(problem, monkeypatch) -> None:
    config = Problem.config
    monkeypatch.setattr(Problem, "config", lambda self, variant="": config(self, variant, trace="truncated"))
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.check(problem, WHO)


@pytest.mark.parametrize("listener", [one_shot.Spiking, one_shot.Linear])
def test_a_learning_signal_with_half_a_gradient_is_not_timed(listener, problem, monkeypatch) -> None:
    step = listener.step

    def half_held(self, *args):
        signal, zeta = step(self, *args)
        return (signal + signal.detach()) / 2, zeta

    monkeypatch.setattr(listener, "step", half_held)
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.check(problem, WHO)


def test_both_modules_and_the_network_are_alive(problem) -> None:
    for variant in ("e_prop_2_spiking", "e_prop_2_linear"):
        module = problem.module(problem.config(variant))
        one_shot.loss(module, problem.trial, problem.dense_inputs).backward()
        assert all(weight.grad.any() for weight in module.parameters())


def test_every_turn_costs_the_same(problem) -> None:
    module = problem.module(problem.config())
    before = {name: weight.clone() for name, weight in module.named_parameters()}
    contenders.torch_step(module, lambda: contenders.eager_loss(module, problem, e_prop=False))()
    assert module.network.layer.w_rec.grad.any()
    assert all(torch.equal(weight, before[name]) for name, weight in module.named_parameters())


def test_in_float64_a_clock_stays_a_clock(problem) -> None:
    batch = batches.doubled(problem.trial)
    assert batch.target_input.dtype == batch.movements.positions.dtype == torch.float64
    assert batch.inputs is problem.trial.inputs
    assert batches.doubled(batch.inputs.channel).dtype == torch.int64


def test_memory_is_that_of_the_tape() -> None:
    size = {"n_rec": 100, "n_module": 100, "trial_ms": 200, "batch_size": 2}
    peak = ask(measure="memory", task="arm_reaching", size=size, who=names.UNROLLED)["peak_mb"]
    if peak is None:
        pytest.skip(NO_PEAK)
    assert (
        3 < peak < 60
    )  # at least 20 arrays [task, neuron] a step of both trials; a sum [task, post, pre] a step is 16


def test_every_task_has_a_size_to_compile_in() -> None:
    assert set(worker.SMALL) == {bench.task for bench in catalogue.BENCHES.values()}


def test_the_time_of_one_movement_is_stated_for_each_batch() -> None:
    bench = catalogue.BENCHES["arm_reaching_growth_batch"]
    assert [size["batch_size"] for size in bench.sizes] == [8, 32, 200]
    turns = [{names.SPIKING: [seconds] * 3} for seconds in (0.08, 0.64, 2.0)]
    assert measure.of_one(bench, turns) == [
        "Milliseconds a movement (size of the batch), ours: spiking error module: 10 (8), 20 (32), 10 (200)."
    ]
    assert measure.of_one(catalogue.BENCHES["arm_reaching"], turns[:1]) == []
