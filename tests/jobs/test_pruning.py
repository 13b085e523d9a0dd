"""Runs that fall behind are stopped, and only those."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from repro.errors import RunPruned, UserError
from repro.jobs.job import Attempt, Job, Pruning
from repro.jobs.pruner import SameSeedHyperband
from repro.jobs.queue import Queue
from repro.jobs.trials import JOB, job_of
from repro.runs.recorder import Recorder
from repro.studies.study import Study
from tests.jobs.serving import Report, serve
from tests.studies.conftest import FAST, changed

RULE = Pruning("error", "minimize", first=4, every=2, finished=2)


def curve(job: Job, step: int) -> float:
    """Falls with time; a high threshold learns slowly, and seed 101 is hard for all."""
    point = dict(job.point)
    return float(point["v_th"]) / step + (5.0 if job.seed == 101 else 0.0)


def learn(study: Study) -> Callable[[Job, Report], Mapping[str, float]]:
    """Ten iterations, looked at as the callback does."""

    def objective(job: Job, report: Report) -> Mapping[str, float]:
        for step in range(1, 11):
            since = step - RULE.first
            if study.pruning and since >= 0 and since % RULE.every == 0 and report(step, curve(job, step)):
                raise RunPruned
        return {"nmse": curve(job, 10)}

    return objective


def pruned(study: Study) -> list[Job]:
    queue = Queue(study, None, FAST)
    serve(queue, learn(study))
    assert queue.is_done()
    return [job for job, outcome in queue.states().items() if outcome.name == "pruned"]


def test_the_slow_ones_are_stopped(study: Study) -> None:
    jobs = pruned(changed(study, pruning=RULE, best=0, best_seeds=()))
    assert jobs
    assert {dict(job.point)["v_th"] for job in jobs} <= {0.61, 0.9}
    assert {job.seed for job in jobs} == {100, 101}, "each seed is held against itself"


def test_control_no_rule_stops_none(study: Study) -> None:
    assert pruned(study) == []


def test_a_rule_that_wants_more_runs_stops_none(study: Study) -> None:
    assert pruned(changed(study, pruning=Pruning("error", "minimize", 4, 2, finished=6))) == []


def test_larger_may_be_better(study: Study) -> None:
    up = Pruning("error", "maximize", 4, 2, finished=2)
    assert {dict(job.point)["v_th"] for job in pruned(changed(study, pruning=up))} <= {0.4, 0.61}


def test_the_callback_looks_when_it_should() -> None:
    from repro.jobs import pruning_callback

    asked: list[tuple[int, float]] = []

    def report(step: int, value: float) -> bool:
        asked.append((step, value))
        return step >= 8

    watch = pruning_callback.PruningCallback(RULE, report)

    def after(iteration: int, should_stop: bool = False, **metrics: float) -> None:
        recorder = Recorder()
        recorder.series["loss"] = [0.0] * iteration
        trainer = SimpleNamespace(global_step=100, callbacks=[recorder], should_stop=should_stop)
        watch.on_train_batch_end(trainer, SimpleNamespace(config=SimpleNamespace(iterations=12)), {"metrics": metrics})

    for iteration in range(1, 8):
        after(iteration)  # a window that does not end an iteration has no metrics
        after(iteration, error=0.5)
    assert asked == [(4, 0.5), (6, 0.5)]
    after(8, should_stop=True, error=0.25)  # solved just now: it keeps its result
    after(12, error=0.25)  # and so does one that has come to its end
    with pytest.raises(RunPruned, match="stopped early, after 8 iterations"):
        after(8, error=0.25)
    with pytest.raises(UserError, match="unknown training metric 'error' of \\[pruning\\]; did you mean errors"):
        after(9, errors=0.1)


HYPERBAND = Pruning("error", "minimize", first=2, every=2, finished=5, rule="hyperband", last=6, factor=3)


def grown(study: Study) -> Study:
    """Nine thresholds at each of two learning rates."""
    grid = {"learning_rate": (0.001, 0.003), "v_th": tuple(0.1 * step for step in range(1, 10))}
    return changed(study, grid=grid, pruning=HYPERBAND, best=0, best_seeds=())


def test_hyperband_stops_the_slow_ones_of_each_seed(study: Study) -> None:
    jobs = pruned(grown(study))
    assert {job.seed for job in jobs} == {100, 101}, "the seed that is hard for all keeps some"
    assert len(jobs) < len(grown(study).search)
    stopped = [float(dict(job.point)["v_th"]) for job in jobs]
    kept = [float(dict(job.point)["v_th"]) for job in grown(study).search if job not in jobs]
    assert sum(stopped) / len(stopped) > sum(kept) / len(kept)


def test_hyperband_goes_by_its_own_direction(study: Study) -> None:
    up = changed(grown(study), pruning=dataclasses.replace(HYPERBAND, direction="maximize"))
    stopped = [float(dict(job.point)["v_th"]) for job in pruned(up)]
    kept = [float(dict(job.point)["v_th"]) for job in up.search if job not in pruned(up)]
    assert stopped and sum(stopped) / len(stopped) < sum(kept) / len(kept)


def test_a_point_has_one_bracket(study: Study) -> None:
    queue = Queue(grown(study), None, FAST)
    serve(queue, learn(grown(study)))
    rule = SameSeedHyperband(HYPERBAND)
    brackets: dict[object, set[int]] = {}
    for trial in queue.trials():
        brackets.setdefault((trial.params["learning_rate"], trial.params["v_th"]), set()).add(rule.bracket(trial))
    assert all(len(each) == 1 for each in brackets.values())
    assert set.union(*brackets.values()) == {0, 1}


def resumed(queue: Queue, attempt: Attempt) -> Attempt:
    """The next attempt at a job whose run was interrupted."""
    queue.give_up(attempt, "interrupted")
    queue.fill()
    return next(again for again in iter(queue.take, None) if again.job == attempt.job)


@pytest.mark.parametrize("interrupted", [False, True])
def test_hyperband_goes_on_after_an_interruption(study: Study, interrupted: bool) -> None:
    """One run in three of a seed passes iteration 2, or the best so far of fewer than six; the next look is at 6."""
    rule, queue = SameSeedHyperband(HYPERBAND), Queue(grown(study), None, FAST)
    queue.fill()
    brackets = {job_of(trial): rule.bracket(trial) for trial in queue.trials()}
    held = [attempt for attempt in iter(queue.take, None) if attempt.job.seed == 100 and brackets[attempt.job] == 0]
    ours, *rivals = held[:6]
    assert not queue.report(ours, 2, 0.1)
    if interrupted:
        ours = resumed(queue, ours)
    assert not queue.report(ours, 4, 0.5), "it has passed iteration 2, and this is before iteration 6"
    assert [queue.report(rival, 2, 0.3) for rival in rivals[:4]] == [True] * 4
    assert not queue.report(rivals[4], 2, 0.2), "the second of six: no run counts twice"


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_the_best_before_an_interruption_counts(study: Study, results: Path, storage: str, interrupted: bool) -> None:
    """The run reached 0.1 early, which its rivals never did; then it is worse than they are."""
    study = changed(study, pruning=RULE, best=0, best_seeds=())
    queue = Queue(study, None if storage == "journal" else f"sqlite:///{results}/queue.db", FAST)
    queue.fill()
    *rivals, ours = [attempt for attempt in (queue.take(), queue.take(), queue.take()) if attempt]
    for rival in rivals:
        assert not any(queue.report(rival, step, 0.2) for step in (4, 6, 8))
        queue.finish(rival, {"nmse": 0.2})
    assert not queue.report(ours, 4, 0.1)
    assert not queue.report(ours, 6, 0.3)
    if interrupted:
        ours = resumed(queue, ours)
        assert not queue.report(ours, 6, 0.3), "a run that goes back to a checkpoint reports this again"
    assert not queue.report(ours, 8, 0.3)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_rival_counts_with_what_it_reached_before_an_interruption(study: Study, interrupted: bool) -> None:
    study = changed(study, pruning=RULE, best=0, best_seeds=())
    queue = Queue(study, None, FAST)
    queue.fill()
    *rivals, ours = [attempt for attempt in (queue.take(), queue.take(), queue.take()) if attempt]
    for rival in rivals:
        assert not queue.report(rival, 4, 0.1)
        last = resumed(queue, rival) if interrupted else rival
        assert not queue.report(last, 6, 0.2)
        queue.finish(last, {"nmse": 0.2})
    assert queue.report(ours, 4, 0.2), "its rivals had 0.1 by then"


def test_a_new_try_of_a_lost_run_begins_without_the_values_of_the_first(study: Study) -> None:
    queue = Queue(changed(study, pruning=RULE), None, FAST)
    queue.fill()
    first = queue.take()
    assert first is not None and not queue.report(first, 4, 0.1)
    queue.lose(first, "dead network")
    queue.fill([first.job])
    waiting = queue.trials(TrialState.WAITING)
    assert str(first.job) in [trial.user_attrs[JOB] for trial in waiting]
    assert not any(trial.intermediate_values for trial in waiting)
