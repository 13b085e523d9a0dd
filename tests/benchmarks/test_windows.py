"""The benchmarks of windows in a tiny size: a contender that computes another window is not timed."""

import dataclasses

import pytest
import torch

from benchmarks import agreement, batches, catalogue, contenders, lstm, run, textbook, worker
from benchmarks.windows import WindowProblem
from repro.errors import RunFailed
from tasks.word_prediction import clipping

SIZES = {
    "copy_repeat": {"units": 12, "batch_size": 3},
    "word_prediction": {"vocabulary": 30, "units": 12, "batch_size": 3},
}
TASKS = pytest.mark.parametrize("task", SIZES)


def tiny(task: str) -> WindowProblem:
    return WindowProblem(task, SIZES[task])


@TASKS
def test_every_contender_takes_its_turn(task) -> None:
    who = list(catalogue.BENCHES[task].who)
    found = worker.timing(task, SIZES[task], who, rounds=2)
    assert list(found["cpu_s"]) == who
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in found["cpu_s"].values())
    assert found["agreed"]["gradient"] < 1e-12


def without_its_past(monkeypatch) -> None:
    update = textbook.AsPrinted.update

    def forgetful(self, *args):
        self.vectors = torch.zeros_like(self.vectors)
        return update(self, *args)

    monkeypatch.setattr(textbook.AsPrinted, "update", forgetful)


def without_boundary(monkeypatch) -> None:
    monkeypatch.setattr(textbook.TextbookEProp3, "_boundary", lambda *_: 0.0)


def without_decay(monkeypatch) -> None:
    update = textbook.InPlace.update
    monkeypatch.setattr(
        textbook.InPlace, "update", lambda self, forget, *args: update(self, torch.ones_like(forget), *args)
    )


@TASKS
@pytest.mark.parametrize("broken", [without_its_past, without_boundary, without_decay])
def test_another_textbook_is_not_timed(task, broken, monkeypatch) -> None:
    broken(monkeypatch)
    with pytest.raises(RunFailed, match="the gradient of the textbook is not ours"):
        agreement.check(tiny(task))


@TASKS
@pytest.mark.parametrize(("learner", "who"), [(lstm.TruncatedBPTT, "eager"), (lstm.StockLSTM, "torch.nn.LSTM")])
def test_another_bptt_is_not_timed(task, learner, who, monkeypatch) -> None:
    loss = learner.loss

    def forgetful(self, batch):
        self.state = None
        return loss(self, batch)

    monkeypatch.setattr(learner, "loss", forgetful)
    with pytest.raises(RunFailed, match=f"{who} has the error .*; not timed"):
        agreement.check(tiny(task))


def test_the_embedding_is_compared_too(monkeypatch) -> None:
    problem = tiny("word_prediction")
    module = problem.learning_module(problem.config("bptt_4"))
    assert "embedding" in lstm.StockLSTM(module).learn(problem.windows[0])[1]
    embedded = type(module)._embedded

    def twice_the_gradient(self, words):
        vectors = embedded(self, words)
        return 2 * vectors - vectors.detach()

    monkeypatch.setattr(type(module), "_embedded", twice_the_gradient)
    with pytest.raises(RunFailed, match="the gradient of torch.nn.LSTM is not ours"):
        agreement.check(problem)


@TASKS
def test_the_window_that_is_timed_has_all_that_algorithm_1_needs(task) -> None:
    problem = tiny(task)
    window, steps = problem.trial, problem.config().truncation_steps
    assert not window.begins
    assert not window.ends
    assert window.this.next_input is not None
    assert window.following.next_input is not None
    assert window.this.inputs.shape[:2] == window.following.inputs.shape[:2] == (3, steps)
    module = problem.learning_module(problem.config())
    module.window_loss(window).loss.backward()
    assert all(weight.grad.any() for name, weight in module.predictor.named_parameters())


@TASKS
@pytest.mark.parametrize("who", [catalogue.CELL, catalogue.PRINTED, catalogue.E_PROP_3])
def test_every_turn_costs_the_same(task, who, monkeypatch) -> None:
    problem = tiny(task)
    module = problem.learning_module(problem.config(catalogue.WINDOWS.get(who, "")))
    monkeypatch.setattr(WindowProblem, "learning_module", lambda *_: module)
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    contenders.build(who, problem)()
    assert module.network.layer.w_rec.grad.any()
    assert all(torch.equal(weight, before[name]) for name, weight in module.named_parameters())


@TASKS
def test_sequences_are_picked_from_every_part_of_a_window(task) -> None:
    problem = tiny(task)
    few = dataclasses.replace(problem, trials=(2, 0))
    for window, whole in zip(few.windows, problem.windows, strict=True):
        assert torch.equal(window.this.inputs, whole.this.inputs[[2, 0]])
        assert window.begins == whole.begins
    assert batches.doubled(few.trial).following.target.dtype in (torch.float64, torch.int64)


def test_gradients_are_clipped_where_the_task_clips(monkeypatch) -> None:
    seen = []
    for place, name in ((torch.nn.utils, "clip_grad_norm_"), (clipping, "clip")):
        monkeypatch.setattr(place, name, lambda parameters, norm: seen.append(norm))
    for task in SIZES:
        for who in (catalogue.STOCK, catalogue.BPTT_4):
            contenders.build(who, tiny(task))()
    assert seen == [5.0, 5.0]  # of words alone


def test_ratios_and_windows_a_second_are_said(monkeypatch, capsys) -> None:
    agreed = {"who": ["eager"], "what": "4 windows in float64", "same": "the error", "rate_hz": None}
    agreed["gradients"] = "truncated BPTT and e-prop 3"
    seconds = {catalogue.CELL: 0.1, catalogue.STOCK: 0.1, catalogue.E_PROP_3: 0.25, catalogue.PRINTED: 1.0}
    cpu = {who: [seconds.get(who, 0.3)] * 3 for task in SIZES for who in catalogue.BENCHES[task].who}
    timed = {"threads": 0.9, "agreed": agreed | {"gradient": 3e-16}, "cpu_s": cpu}
    answers = {"timing": timed, "memory": {"peak_mb": 3.0}}
    monkeypatch.setattr(run, "ask", lambda measure, **_: answers[measure])
    assert run.main("copy_repeat", as_json=False) == 0
    out = capsys.readouterr().out
    assert "eager and ours computed 4 windows in float64: the error was the same" in out
    assert "ours: e-prop 3 took 2.5 times as long as truncated BPTT, eager." in out
    assert "textbook e-prop 3, eager took 4.0 times as long as ours: e-prop 3." in out
    assert "an iteration takes 1.20 times one without" in out
    assert "per second" not in out
    assert run.main("word_prediction", as_json=False) == 0
    assert "Windows per second: truncated BPTT, torch.nn.LSTM 10," in capsys.readouterr().out
