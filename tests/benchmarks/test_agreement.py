"""A contender of the spiking tasks that computes something else is not timed."""

import dataclasses

import pytest
import torch

from benchmarks import agreement, catalogue, contenders, eager, names, worker
from benchmarks.problem import Problem
from repro.eprop.kernels import dispatch
from repro.eprop.neurons.alif import ALIF
from repro.errors import RunFailed
from tasks.store_recall import data as store_recall
from tests.benchmarks.sizes import SIZES, tiny

SPIKING = ("pattern_generation", "store_recall", "speech")
TASKS = pytest.mark.parametrize("task", SPIKING)
IN_TORCH = (names.EAGER, names.EAGER_E_PROP, names.BPTT, names.FACTORED)


def here(task: str) -> list[str]:
    """The contenders of a benchmark that can be timed here."""
    return [who for who in catalogue.BENCHES[task].who if names.jax_is_here() or not names.needs_jax(who)]


@pytest.mark.parametrize("task", SIZES)
def test_every_contender_agrees_and_takes_its_turns(task) -> None:
    who = here(task)
    agreed = worker.agreement(task, SIZES[task], who)
    assert agreed["exact"] < 1e-12
    assert agreed["single"] is None or agreed["single"] < 1e-4
    timed = worker.timing(task, SIZES[task], who, turns=2, seconds=60)
    assert list(timed["cpu_s"]) == who
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in timed["cpu_s"].values())


def test_when_time_has_passed_the_fewest_turns_are_taken() -> None:
    who = [names.EAGER, names.FACTORED]
    timed = worker.timing("pattern_generation", SIZES["pattern_generation"], who, turns=50, seconds=0)
    assert {len(seconds) for seconds in timed["cpu_s"].values()} == {worker.FEWEST}


def test_turns_are_in_random_order(monkeypatch) -> None:
    order: list[str] = []

    def recorded(who, problem):
        return contenders.Built(lambda: order.append(who), list)

    monkeypatch.setattr(contenders, "build", recorded)
    worker.timing("pattern_generation", SIZES["pattern_generation"], list(IN_TORCH), turns=8, seconds=60)
    turns = [tuple(order[k : k + 8 : 2]) for k in range(0, len(order), 8)]
    assert all(sorted(turn) == sorted(IN_TORCH) for turn in turns)
    assert len(set(turns)) > 3


@TASKS
def test_who_spikes_differently_is_not_timed(task, monkeypatch) -> None:
    spikes = eager.spikes
    monkeypatch.setattr(eager, "spikes", lambda *args: spikes(*args).roll(1, dims=1))
    with pytest.raises(RunFailed, match="eager does not spike like ours"):
        agreement.same_trials(tiny(task), IN_TORCH)


@TASKS
def test_whose_gradient_differs_is_not_timed(task, monkeypatch) -> None:
    loss = contenders.eager_loss
    monkeypatch.setattr(contenders, "eager_loss", lambda module, problem, e_prop: loss(module, problem, e_prop=False))
    with pytest.raises(RunFailed, match=r"the gradient of ours: e-prop 1 \(factored\) is not eager's"):
        agreement.check(tiny(task), IN_TORCH)


def test_a_gradient_that_is_off_by_a_millionth_is_not_timed(monkeypatch) -> None:
    gradients_of = contenders.gradients_of
    calls: list[object] = []

    def second_is_off(module):
        calls.append(module)
        return {name: g * (1 + 1e-6 * (len(calls) == 2)) for name, g in gradients_of(module).items()}

    problem = dataclasses.replace(tiny("pattern_generation"), exact=True)
    assert agreement.compare(problem, [names.FACTORED], agreement.EXACT) < 1e-12
    monkeypatch.setattr(contenders, "gradients_of", second_is_off)
    with pytest.raises(RunFailed, match="not timed"):
        agreement.compare(problem, [names.FACTORED], agreement.EXACT)


def test_nan_and_missing_gradients_are_differences() -> None:
    reference = [{"w": torch.ones(2)}]
    assert agreement.difference_of("x", [{"w": torch.ones(2)}], reference) == 0
    assert not agreement.difference_of("x", [{"w": torch.tensor([1.0, torch.nan])}], reference) < 1
    with pytest.raises(RunFailed, match="x has no gradient of w"):
        agreement.difference_of("x", [{}], reference)


def test_a_trial_that_rounding_moves_late_is_left_out_of_the_gradients(monkeypatch) -> None:
    spikes = eager.spikes

    def moved(*args):
        z = spikes(*args).clone()
        if len(z) == 3:  # all of the batch: without this trial it has two
            z[1, -1, 0] = 1 - z[1, -1, 0]
        return z

    monkeypatch.setattr(eager, "spikes", moved)
    problem = Problem("speech", SIZES["speech"] | {"frames": 50})
    chosen, sentence = agreement.same_trials(problem, IN_TORCH)
    assert chosen.trials == (0, 2)
    assert sentence.startswith("every spike of 2 of the 3 trials")
    assert agreement.compare(chosen, IN_TORCH, agreement.SINGLE) < 1e-5
    with pytest.raises(RunFailed, match="not timed"):  # control: with it they differ
        agreement.compare(problem, IN_TORCH, agreement.SINGLE)


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
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.check(problem, IN_TORCH)


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


def test_an_iteration_draws_no_trials(monkeypatch) -> None:
    problem = tiny("store_recall")
    problem.module(problem.config())
    assert len(problem.timed) == 1  # a batch that is drawn once
    monkeypatch.setattr(store_recall, "trials", lambda *_: pytest.fail("drew validation trials"))
    left = iter(range(1))
    seconds = worker.under_lightning(problem, turn=lambda: None, done=lambda: next(left, None) is None)
    assert len(seconds) == 2
