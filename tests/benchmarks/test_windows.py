"""The benchmarks of windows in a tiny size: a contender that computes another window is not timed."""

import dataclasses

import pytest
import torch

from benchmarks import agreement, batches, contenders, lstm, names, textbook, worker
from benchmarks.windows import WindowProblem
from repro.errors import RunFailed
from tasks.word_prediction import clipping
from tests.benchmarks.sizes import tiny

NAMES = ("copy_repeat", "word_prediction")
TASKS = pytest.mark.parametrize("task", NAMES)
IN_TORCH = (names.STOCK, names.IN_PLACE, names.BPTT_4, names.TRACES, names.E_PROP_3)


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
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.check(tiny(task), IN_TORCH)


@TASKS
@pytest.mark.parametrize("learner", [lstm.TruncatedBPTT, lstm.StockLSTM])
def test_another_bptt_is_not_timed(task, learner, monkeypatch) -> None:
    loss = learner.loss

    def forgetful(self, batch):
        self.state = None
        return loss(self, batch)

    monkeypatch.setattr(learner, "loss", forgetful)
    with pytest.raises(RunFailed, match="is not eager's.*; not timed"):
        agreement.check(tiny(task), IN_TORCH)


@pytest.mark.parametrize("who", [names.STOCK, names.IN_PLACE, names.BPTT_4, names.E_PROP_3])
def test_the_embedding_is_compared_too(who, monkeypatch) -> None:
    problem = tiny("word_prediction")
    assert all("embedding" in gradients for gradients in contenders.build(who, problem).gradients())
    module = type(problem.learning_module(problem.config("bptt_4")))
    embedded = module._embedded

    def twice_the_gradient(self, words):
        vectors = embedded(self, words)
        return 2 * vectors - vectors.detach()

    reference = contenders.build(agreement.REFERENCES[names.CONTENDERS[who].variant], problem).gradients()
    monkeypatch.setattr(module, "_embedded", twice_the_gradient)
    difference = agreement.difference_of(who, contenders.build(who, problem).gradients(), reference)
    assert difference < 1e-4 if who == names.STOCK else difference > 0.5  # torch.nn.LSTM has an embedding of its own


@TASKS
def test_the_windows_that_are_timed_have_all_that_algorithm_1_needs(task) -> None:
    problem = tiny(task)
    windows, steps = problem.timed, problem.config().truncation_steps
    assert [window.begins for window in windows] == [task == "copy_repeat" and k == 0 for k in range(len(windows))]
    assert not any(window.ends for window in windows)  # a module would report to a curriculum
    assert sum(window.this.inputs.shape[1] for window in windows) == (23 if task == "copy_repeat" else 2 * steps)
    module = problem.learning_module(problem.config())
    module.window_loss(windows[1]).loss.backward()
    assert all(weight.grad.any() for name, weight in module.predictor.named_parameters())


def test_time_is_that_of_one_window(monkeypatch) -> None:
    problem = tiny("copy_repeat")
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr(contenders, "build", lambda *_: contenders.Built(lambda: None, list))
    monkeypatch.setattr(worker.time, "process_time", lambda: float(next(now)))
    timed = worker.timing("copy_repeat", dict(problem.size), [names.CELL], turns=2, seconds=60)
    assert len(problem.timed) == 6
    assert timed["cpu_s"] == {names.CELL: [1.0, 1.0]}


@TASKS
@pytest.mark.parametrize("who", [names.CELL, names.PRINTED, names.E_PROP_3])
def test_every_turn_costs_the_same(task, who, monkeypatch) -> None:
    problem = tiny(task)
    module = problem.learning_module(problem.config(names.CONTENDERS[who].variant))
    monkeypatch.setattr(WindowProblem, "learning_module", lambda *_: module)
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    contenders.build(who, problem).step()
    assert module.network.layer.w_rec.grad.any()
    assert all(torch.equal(weight, before[name]) for name, weight in module.named_parameters())


@TASKS
def test_sequences_are_picked_from_every_part_of_a_window(task) -> None:
    problem = tiny(task)
    few = dataclasses.replace(problem, trials=(2, 0))
    for window, whole in zip(few.windows, problem.windows, strict=True):
        assert torch.equal(window.this.inputs, whole.this.inputs[[2, 0]])
        assert window.begins == whole.begins
    assert batches.doubled(few.windows[1]).following.target.dtype in (torch.float64, torch.int64)


def test_gradients_are_clipped_where_the_task_clips(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(clipping, "clip", lambda parameters, norm: seen.append(norm))
    for task in NAMES:
        for who in (names.STOCK, names.BPTT_4):
            contenders.build(who, tiny(task)).step()
    assert seen == [5.0] * 4  # of words alone, in each of two windows
