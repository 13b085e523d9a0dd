"""The benchmarks in a tiny size: what they print, that all contenders compute the same, that no JAX is no error."""

import dataclasses
import importlib.util
import json

import pytest
import torch

from benchmarks import agreement, catalogue, contenders, eager, run, worker
from benchmarks.problem import Problem
from repro.eprop.kernels import dispatch
from repro.eprop.neurons.alif import ALIF
from repro.errors import RunFailed, UserError
from tasks.store_recall import data as store_recall

SIZES = {
    "pattern_generation": {"n_rec": 40, "trial_ms": 50},
    "store_recall": {"n_lif": 5, "n_alif": 5, "trial_ms": 240, "period_ms": 20, "batch_size": 3},
    "speech": {"n_lif": 5, "n_alif": 5, "batch_size": 3, "frames": 24},
}
TASKS = pytest.mark.parametrize("task", SIZES)
OF_JAX = pytest.mark.parametrize("task", [name for name in SIZES if catalogue.JAX in catalogue.BENCHES[name].who])
HERE = [who for who in catalogue.BENCHES["pattern_generation"].who if who != catalogue.JAX or contenders.jax_is_here()]


def tiny(task: str) -> Problem:
    """A problem that takes milliseconds."""
    return Problem(task, SIZES[task], settle=2)


@pytest.fixture
def answered(monkeypatch):
    """Workers that answer at once: every contender 0.2 s and 3 MB, ours ten times as fast."""
    everyone = catalogue.BENCHES["pattern_generation"].who
    seconds = {who: [0.03, 0.01, 0.02] if who.startswith("ours") else [0.2] * 3 for who in everyone}
    agreed = {"who": ["eager"], "what": "the same batch in float32", "same": "every spike", "rate_hz": 10.4}
    agreed |= {"gradients": "symmetric e-prop 1 and of BPTT", "gradient": 1.2e-6}
    timed = {"cpu_s": seconds, "threads": 0.9, "agreed": agreed}
    answers = {"timing": timed, "memory": {"peak_mb": 3.0}}
    monkeypatch.setattr(run, "ask", lambda measure, **_: answers[measure])


@TASKS
def test_every_contender_takes_its_turn(task) -> None:
    who = [name for name in catalogue.BENCHES[task].who if name in HERE]
    found = worker.timing(task, SIZES[task], who, rounds=2)
    assert list(found["cpu_s"]) == who
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in found["cpu_s"].values())
    assert found["agreed"]["same"] == "every spike"


@TASKS
def test_who_spikes_differently_is_not_timed(task, monkeypatch) -> None:
    spikes = eager.spikes
    monkeypatch.setattr(eager, "spikes", lambda *args: spikes(*args).roll(1, dims=1))
    with pytest.raises(RunFailed, match="eager does not spike like ours"):
        agreement.check(tiny(task))


@TASKS
def test_whose_gradient_differs_is_not_timed(task, monkeypatch) -> None:
    loss = contenders.eager_loss
    monkeypatch.setattr(agreement, "eager_loss", lambda module, problem, e_prop: loss(module, problem, e_prop=False))
    with pytest.raises(RunFailed, match="the gradient of eager is not ours"):
        agreement.check(tiny(task))


def test_a_trial_that_rounding_moves_late_is_left_out_of_the_gradients(monkeypatch) -> None:
    spikes = eager.spikes

    def moved(*args):
        z = spikes(*args).clone()
        if len(z) == 3:  # all of the batch: without this trial it has two
            z[1, -1, 0] = 1 - z[1, -1, 0]
        return z

    monkeypatch.setattr(eager, "spikes", moved)
    problem = Problem("speech", SIZES["speech"] | {"frames": 50})
    found = agreement.check(problem)
    assert found["same"].startswith("every spike of 2 of the 3 trials")
    assert found["gradient"] < 1e-5
    with pytest.raises(RunFailed, match="the gradient of eager is not ours"):  # control: with it they would differ
        agreement.compare_gradients(problem, with_jax=False)


@TASKS
def test_trials_are_picked_from_every_part_of_a_batch(task) -> None:
    problem = tiny(task)
    chosen = [0] if task == "pattern_generation" else [2, 0]
    few = dataclasses.replace(problem, trials=tuple(chosen))
    assert torch.equal(few.dense_inputs, problem.dense_inputs[chosen])
    if task == "speech":
        assert torch.equal(few.trial.labels, problem.trial.labels[chosen])
    else:
        wanted = problem.target()[chosen] != 0
        assert torch.equal(few.target() != 0, wanted)


def test_made_up_speech_needs_no_corpus(monkeypatch) -> None:
    monkeypatch.setenv("TIMIT_DIR", "/no/such/folder")
    batch = tiny("speech").trial
    assert batch.inputs.shape == (3, 120, 39)
    assert batch.lengths.tolist() == [120] * 3
    assert 0 <= batch.inputs.frames.min() < 0.1 < 0.9 < batch.inputs.frames.max() <= 1
    assert set(batch.labels.flatten().tolist()) <= set(range(61))


def test_speech_costs_every_turn_the_same() -> None:
    problem = tiny("speech")
    module = problem.module(problem.config("bptt"))
    before = {name: weight.clone() for name, weight in module.network.named_parameters()}
    contenders.torch_step(module, lambda: contenders.eager_loss(module, problem, e_prop=False))()
    assert module.network.directions[0].w_rec.grad.any()
    assert all(torch.equal(weight, before[name]) for name, weight in module.network.named_parameters())


def test_a_gradient_without_adaptation_is_not_timed(monkeypatch) -> None:
    adaptation, problem = ALIF.adaptation, tiny("store_recall")
    problem.module(problem.config())  # settles
    monkeypatch.setattr(
        ALIF,
        "e_prop_delta",
        lambda self, trajectory, signal: dispatch.of(signal).local_reverse(
            trajectory.h, signal, 0 * adaptation(self, signal), self.alpha, self.rho
        ),
    )
    with pytest.raises(RunFailed, match="the gradient of eager is not ours"):
        agreement.check(problem)


@OF_JAX
@pytest.mark.skipif(not contenders.jax_is_here(), reason="JAX comes with the extra `bench`")
def test_jax_gets_our_gradient(task) -> None:
    problem = tiny(task)
    assert torch.equal(agreement.spikes_by_jax(problem), agreement.simulated(problem))
    assert set(agreement.gradients_by_jax(problem)) == {"w_in", "w_rec", "w_out"}


@OF_JAX
@pytest.mark.skipif(not contenders.jax_is_here(), reason="JAX comes with the extra `bench`")
def test_jax_has_the_loss_of_the_task(task) -> None:
    problem = tiny(task)
    weights, inputs, target, loss = contenders.jax_problem(problem)
    ours = contenders.eager_loss(problem.module(problem.config()), problem, e_prop=True).detach()
    assert float(loss(weights, inputs, target)) == pytest.approx(float(ours), rel=1e-5)
    assert float(loss(weights, inputs, 0.5 * target)) != pytest.approx(float(ours), rel=1e-2)


def test_an_iteration_draws_no_trials(monkeypatch) -> None:
    problem = tiny("store_recall")
    problem.module(problem.config())  # settles, on a batch that is drawn once
    monkeypatch.setattr(store_recall, "trials", lambda *_: pytest.fail("drew validation trials"))
    assert len(worker.under_lightning(problem, 2, between=lambda: None)) == 1


def test_memory_is_that_of_the_tape() -> None:
    peak = run.ask(
        measure="memory", task="pattern_generation", size={"n_rec": 100, "trial_ms": 500}, who=catalogue.EAGER
    )["peak_mb"]
    if peak is not None:  # 500 steps keep at least 8 arrays of 100 floats; 100 MB would be the imports
        assert 1.6 < peak < 60


def test_online_memory_is_flat_in_time() -> None:
    short, long = (
        run.ask(
            measure="memory",
            task="pattern_generation",
            size={"n_rec": 300, "trial_ms": ms},
            who=catalogue.ONLINE,
        )["peak_mb"]
        for ms in (500, 4000)
    )
    if short is not None:  # one array of [time, neuron] would add 4.2 MB
        assert long < short + 3


def test_speech_fits_in_four_gigabytes() -> None:
    size = catalogue.BENCHES["speech"].sizes[0]
    twelfth = size | {"batch_size": size["batch_size"] // 4, "frames": size["frames"] // 3}
    peak = run.ask(measure="memory", task="speech", size=twelfth, who=catalogue.BPTT)["peak_mb"]
    if peak is not None:  # one array of [batch, time, neuron] of both directions is 13 MB
        assert 13 < peak < 4000 / 12


def test_rows_have_exactly_the_agreed_fields(answered, capsys) -> None:
    assert run.main("pattern_generation", as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(list(row) == ["bench", "who", "median_s", "ratio_to_eager", "peak_mb"] for row in rows)
    by_name = {row["who"]: row for row in rows}
    assert list(by_name) == HERE
    assert by_name[catalogue.EAGER]["ratio_to_eager"] == 1
    assert by_name[catalogue.FACTORED] == {
        "bench": "pattern_generation",
        "who": "ours: e-prop 1 (factored)",
        "median_s": 0.02,
        "ratio_to_eager": pytest.approx(10),
        "peak_mb": 3.0,
    }


def test_growing_benchmarks_name_the_size(answered, capsys) -> None:
    assert run.main("pattern_generation_growth_T", as_json=False) == 0
    out = capsys.readouterr().out
    assert "ours: e-prop 1 (online), T = 4000" in out
    assert "eager and ours computed the same batch in float32, at 10 Hz: every spike was the same" in out


def test_a_benchmark_adds_its_own_notes(answered, capsys) -> None:
    assert run.main("store_recall", as_json=False) == 0
    assert "what it takes to draw trials is timed for nobody" in capsys.readouterr().out


def test_without_jax_its_row_is_left_out_and_a_sentence_says_so(answered, capsys, monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else find(name))
    run.main("pattern_generation", as_json=False)
    out = capsys.readouterr().out
    assert "JAX is not installed" in out
    assert catalogue.JAX not in out.partition("Left out")[0]


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="unknown benchmark 'patern_generation'; did you mean pattern_generation"):
        run.main("patern_generation", as_json=False)


def test_a_worker_that_fails_says_why() -> None:
    with pytest.raises(RunFailed, match="ended with status"):
        run.ask(measure="nothing")


def test_ours_are_called_ours() -> None:
    others = {catalogue.EAGER, catalogue.EAGER_E_PROP, catalogue.JAX}
    others |= {catalogue.CELL, catalogue.STOCK, catalogue.PRINTED, catalogue.IN_PLACE}
    for bench in catalogue.BENCHES.values():
        assert {who for who in bench.who if who.startswith("ours")} == set(bench.who) - others
        assert not bench.who[0].startswith("ours")  # what the others are compared with
