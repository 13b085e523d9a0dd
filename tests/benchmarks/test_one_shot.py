"""The benchmark of e-prop 2 in a tiny size: who does not learn the same from a trial is not timed."""

import pytest
import torch

from benchmarks import agreement, batches, catalogue, contenders, one_shot, run, worker
from benchmarks.problem import Problem
from repro.errors import RunFailed

BENCH = catalogue.BENCHES["arm_reaching"]
SIZE = {"n_rec": 20, "n_module": 15, "trial_ms": 80, "batch_size": 3}


@pytest.fixture
def problem() -> Problem:
    return Problem("arm_reaching", SIZE)


def test_every_contender_takes_its_turn() -> None:
    found = worker.timing("arm_reaching", SIZE, list(BENCH.who), rounds=2)
    assert list(found["cpu_s"]) == [catalogue.EAGER, catalogue.SPIKING, catalogue.LINEAR]
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in found["cpu_s"].values())
    assert found["agreed"]["gradient"] < 1e-12
    assert 5 < found["agreed"]["rate_hz"] < 60  # settled


def test_who_learns_nothing_from_the_trial_is_not_timed(problem, monkeypatch) -> None:
    trial = one_shot.trial

    def idle(module, w_in, w_rec, inputs, targets, learns):
        return trial(module, w_in, w_rec, inputs, targets, learns=False)

    monkeypatch.setattr(one_shot, "trial", idle)
    with pytest.raises(RunFailed, match="eager"):
        agreement.check(problem)


def test_who_learns_by_another_trace_is_not_timed(problem, monkeypatch) -> None:
    config = Problem.config
    monkeypatch.setattr(Problem, "config", lambda self, variant="": config(self, variant, trace="truncated"))
    with pytest.raises(RunFailed, match="eager"):
        agreement.check(problem)


@pytest.mark.parametrize("listener", [one_shot.Spiking, one_shot.Linear])
def test_a_learning_signal_with_half_a_gradient_is_not_timed(listener, problem, monkeypatch) -> None:
    step = listener.step

    def half_held(self, *args):
        signal, zeta = step(self, *args)
        return (signal + signal.detach()) / 2, zeta

    monkeypatch.setattr(listener, "step", half_held)
    with pytest.raises(RunFailed, match="the gradient of eager is not ours"):
        agreement.check(problem)


def test_another_loss_is_not_timed(problem, monkeypatch) -> None:
    loss = one_shot.loss
    monkeypatch.setattr(one_shot, "loss", lambda *args: 1.001 * loss(*args))
    with pytest.raises(RunFailed, match="eager has the loss .* with e_prop_2_spiking; not timed"):
        agreement.check(problem)


def test_both_modules_and_the_network_are_alive(problem) -> None:
    for variant in ("e_prop_2_spiking", "e_prop_2_linear"):
        module = problem.module(problem.config(variant))
        one_shot.loss(module, problem.trial, problem.dense_inputs).backward()
        assert all(weight.grad.any() for weight in module.parameters())


def test_every_turn_costs_the_same(problem) -> None:
    module = problem.module(problem.config())
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    contenders.torch_step(module, lambda: contenders.eager_loss(module, problem, e_prop=False))()
    assert module.network.w_rec.grad.any()
    assert all(torch.equal(weight, before[name]) for name, weight in module.state_dict().items())


def test_in_float64_a_clock_stays_a_clock(problem) -> None:
    batch = batches.doubled(problem.trial)
    assert batch.target_input.dtype == batch.movements.positions.dtype == torch.float64
    assert batch.inputs is problem.trial.inputs
    assert batches.doubled(batch.inputs.channel).dtype == torch.int64


def test_memory_is_that_of_the_tape() -> None:
    size = {"n_rec": 100, "n_module": 100, "trial_ms": 200, "batch_size": 2}
    peak = run.ask(measure="memory", task="arm_reaching", size=size, who=catalogue.EAGER)["peak_mb"]
    if (
        peak is not None
    ):  # at least 20 arrays [task, neuron] a step of both trials; a sum [task, post, pre] a step is 16
        assert 3 < peak < 60


def test_what_is_compared_is_said(monkeypatch, capsys) -> None:
    found = {
        "who": ["eager"],
        "what": "2 movements in float64",
        "same": "the loss",
        "rate_hz": 74.0,
        "gradients": "the outer loop with either error module",
        "gradient": 3e-15,
    }
    timed = {"cpu_s": {who: [1.0] * 3 for who in BENCH.who}, "threads": 0.9, "agreed": found}
    answers = {"timing": timed, "memory": {"peak_mb": 3.0}}
    monkeypatch.setattr(run, "ask", lambda measure, **_: answers[measure])
    assert run.main("arm_reaching", as_json=False) == 0
    out = capsys.readouterr().out
    assert "eager and ours computed 2 movements in float64, at 74 Hz: the loss was the same" in out
    assert "gradients of the outer loop with either error module differed by at most 3e-15" in out
    assert "JAX" not in out


def test_every_task_has_a_size_to_compile_in() -> None:
    assert set(worker.SMALL) == {bench.task for bench in catalogue.BENCHES.values()}
