"""One worker: takes jobs from a study's queue until every one is done. Torch is imported with the first job."""

import time
from collections.abc import Callable, Mapping, Sequence

import optuna

from repro.errors import Busy, RunFailed, unknown
from repro.jobs.job import Job, JobList
from repro.jobs.queue import Attempt, Queue, TakenOver
from repro.records import store
from repro.records.record import Device
from repro.runs.registry import get_task

Report = Callable[[int, float], bool]
Objective = Callable[[JobList, Job, Report], Mapping[str, float]]  # raises RunFailed, TrialPruned


def train(
    study: JobList, job: Job, report: Report, device: Device = "cpu", loggers: Sequence[str] | None = None
) -> Mapping[str, float]:
    """Train one run below the study's folder, or read its record; its final metrics. `loggers` mirror it.

    Raises RunFailed when training was lost, TrialPruned when it was stopped early, UserError for a metric that is not
    there.
    """
    from repro.runs.isolation import isolated
    from repro.runs.run import run

    callbacks = []
    if study.pruning and study.prunes(job):
        from repro.jobs.pruning_callback import PruningCallback

        callbacks = [PruningCallback(study.pruning, report)]
    where = store.study_folder(study.name) / "runs"
    with isolated():
        record = run(
            get_task(study.task),
            job.variant,
            study.profile,
            job.seed,
            study.overrides(job),
            where,
            device,
            callbacks=callbacks,
            loggers=loggers,
        )
    return record.metrics


def serve(queue: Queue, objective: Objective = train) -> None:
    """Do jobs until all are done, by this worker or by others.

    Raises what the objective raises, except RunFailed and TrialPruned: the job is then left to another worker.
    """
    while True:
        queue.reap()
        queue.fill()
        attempt = queue.take()
        if attempt:
            _do(queue, attempt, objective)
        elif queue.is_done():
            return
        else:
            time.sleep(queue.timing.poll)


def _do(queue: Queue, attempt: Attempt, objective: Objective) -> None:
    """One attempt. A run that another worker has taken over in the meantime is left to that one."""
    try:
        with queue.lease(attempt):
            metrics = _patiently(queue, attempt, objective)
        queue.finish(attempt, metrics)
    except optuna.TrialPruned:
        queue.prune(attempt)
    except RunFailed as error:
        queue.lose(attempt, str(error))
    except TakenOver:
        return
    except (KeyboardInterrupt, SystemExit):  # Lightning makes an exit of an interrupt
        queue.give_up(attempt, "interrupted")
        raise KeyboardInterrupt from None
    except BaseException as error:
        queue.give_up(attempt, f"{type(error).__name__}: {error}")
        raise


def _patiently(queue: Queue, attempt: Attempt, objective: Objective) -> Mapping[str, float]:
    """A worker that only seemed dead may still hold the run: wait until it is done or gone, then read or resume it."""
    while True:
        try:
            metrics = objective(queue.study, attempt.job, lambda step, value: queue.report(attempt, step, value))
        except Busy:
            time.sleep(queue.timing.poll)
            continue
        for name in queue.study.metrics:
            if name not in metrics:
                raise unknown("metric", name, metrics, of=queue.study.task)
        return metrics
