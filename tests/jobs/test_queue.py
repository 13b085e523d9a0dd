"""Each job is done once, whatever workers do at the same time, and whichever of them dies."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from repro.errors import RunFailed, UserError
from repro.jobs.job import Attempt, Job, JobState, TakenOver
from repro.jobs.journal_file import mend
from repro.jobs.queue import LIVE, Queue
from repro.jobs.timing import Timing
from repro.jobs.trials import JOB
from repro.records.store import study_folder
from repro.studies.study import Study
from repro.studies.studyfile import load
from tests.jobs.serving import Report, serve
from tests.studies.conftest import FAST, SEARCH

STORAGES = ("journal", "sqlite")
RUNNING = TrialState.RUNNING


@pytest.fixture(params=STORAGES)
def url(request: pytest.FixtureRequest, results: Path) -> str | None:
    return None if request.param == "journal" else f"sqlite:///{results}/queue.db"


def easy(job: Job, report: Report) -> Mapping[str, float]:
    """The best point is the one with the lowest settings."""
    return {"nmse": sum(float(value) for _, value in job.point) + 1e-3 * job.seed}


def counted(queue: Queue) -> Counter[str]:
    return Counter(trial.user_attrs[JOB] for trial in queue.trials(*LIVE))


def assert_each_once(queue: Queue) -> None:
    """One ended trial for each wanted job, none lost, none left waiting or running."""
    jobs = queue.jobs.wanted(queue.states())
    assert len(jobs) == queue.jobs.size
    assert queue.is_done()
    assert not queue.trials(TrialState.WAITING, RUNNING)
    assert counted(queue) == Counter(str(job) for job in jobs)


def together(*steps: Callable[[], object]) -> None:
    """Take several steps at the same moment, each in a thread."""
    gate = threading.Barrier(len(steps))

    def pass_gate(step: Callable[[], object]) -> None:
        gate.wait()
        step()

    threads = [threading.Thread(target=pass_gate, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_one_worker_does_all_and_then_the_best_again(study: Study, url: str | None) -> None:
    queue = Queue(study, url, FAST)
    serve(queue, easy)
    assert_each_once(queue)
    assert study.best_points(queue.states()) == [(("learning_rate", 0.001), ("v_th", 0.4))]
    again = queue.trials(TrialState.COMPLETE)[-1]
    assert again.params == {"learning_rate": 0.001, "v_th": 0.4, "variant": "e_prop_1", "seed": 200}
    before = len(queue.trials())
    serve(Queue(study, url, FAST), easy)  # once more: nothing to do
    assert len(queue.trials()) == before


def test_workers_that_start_at_once(study: Study, url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    queues = [Queue(study, url, FAST) for _ in range(4)]
    with monkeypatch.context() as patch:
        for queue in queues:
            patch.setattr(queue, "_read", lambda: ({}, {}))  # each finds the queue empty
            queue.fill()
    assert set(counted(queues[0]).values()) == {4}, "control: each job waits four times"
    together(*(lambda queue=queue: serve(queue, easy) for queue in queues))
    assert_each_once(queues[0])


def test_no_two_workers_take_one_trial(study: Study, url: str | None) -> None:
    queues = [Queue(study, url, FAST) for _ in range(4)]
    queues[0].fill()
    taken: list[str] = []

    def drain(queue: Queue) -> None:
        while attempt := queue.take():
            taken.append(str(attempt.job))

    together(*(lambda queue=queue: drain(queue) for queue in queues))
    assert Counter(taken) == Counter(str(job) for job in study.search)


def stale(study: Study, url: str | None) -> tuple[Queue, str]:
    """A study in which a worker took the first job and died."""
    dead = Queue(study, url, FAST)
    dead.fill()
    attempt = dead.take()
    assert attempt is not None
    return dead, str(attempt.job)


def test_two_reapers_at_once(study: Study, url: str | None) -> None:
    _, job = stale(study, url)
    reapers = [Queue(study, url, FAST) for _ in range(2)]
    reaped: list[int] = []
    for reaper in reapers:
        assert reaper.reap() == []  # seen for the first time
    time.sleep(FAST.stale + 0.1)

    def reap_and_fill(reaper: Queue) -> None:
        reaped.extend(reaper.reap())
        reaper.fill()

    together(*(lambda reaper=reaper: reap_and_fill(reaper) for reaper in reapers))
    assert len(reaped) == 1
    serve(reapers[0], easy)
    assert_each_once(reapers[0])
    assert counted(reapers[0])[job] == 1


def test_a_live_lease_is_left_alone(study: Study, url: str | None) -> None:
    owner, reaper = (Queue(study, url, FAST) for _ in range(2))
    owner.fill()
    attempt = owner.take()
    assert attempt is not None
    end = time.monotonic() + 2 * FAST.stale
    while time.monotonic() < end:
        owner.renew([attempt])
        assert reaper.reap() == []
        time.sleep(FAST.poll)
    assert reaper.workers() == ([owner.worker], {})
    owner.finish(attempt, {"nmse": 1.0})


def test_a_worker_that_only_seemed_dead(study: Study, url: str | None) -> None:
    sleeper = Queue(study, url, FAST)
    sleeper.fill()
    attempt = sleeper.take()
    assert attempt is not None
    other = Queue(study, url, FAST)
    other.give_up(Attempt(attempt.job, other.trials(RUNNING)[0]), "its worker died")
    serve(other, easy)
    sleeper.renew([attempt])
    assert sleeper.report(attempt, 1, 0.5) is False, "it trains to its end"
    with pytest.raises(TakenOver):
        sleeper.finish(attempt, {"nmse": 0.0})
    assert_each_once(other)


def test_control_without_a_reaper_the_study_never_ends(study: Study) -> None:
    _, job = stale(study, None)
    patient = Queue(study, None, dataclasses.replace(FAST, stale=1e9))
    while attempt := patient.take():
        patient.finish(attempt, easy(attempt.job, lambda step, value: False))
    patient.reap()
    time.sleep(FAST.stale)
    assert patient.reap() == []
    assert not patient.is_done()
    assert [trial.user_attrs[JOB] for trial in patient.trials(RUNNING)] == [job]


def test_a_job_that_was_given_up_is_enqueued_again(study: Study) -> None:
    queue = Queue(study, None, FAST)
    queue.fill()
    attempt = queue.take()
    assert attempt is not None
    queue.give_up(attempt, "interrupted")
    assert attempt.job not in queue.states()
    serve(queue, easy)
    assert_each_once(queue)
    assert [trial.user_attrs["why"] for trial in queue.trials(TrialState.FAIL)] == ["interrupted"]


def test_a_job_that_cannot_be_made_here_is_left_to_others(study: Study) -> None:
    here, there = (Queue(study, None, FAST) for _ in range(2))
    here.fill()
    attempt = here.take()
    assert attempt is not None
    here.give_up(attempt, "the disk is full")
    assert not here.is_done()  # control
    here.broken[attempt.job] = "the disk is full"
    serve(here, easy)
    assert here.is_done() and not there.is_done()
    serve(there, easy)
    assert_each_once(there)


def test_a_lease_of_a_dead_process_of_this_machine_needs_no_wait(study: Study) -> None:
    dead, _ = stale(study, None)
    reaper = Queue(study, None, Timing())
    assert reaper.reap() == []  # control: the process is there
    process = subprocess.Popen(["true"])
    process.wait()
    trial = reaper.trials(RUNNING)[0]
    for host, reaped in (("elsewhere", []), (socket.gethostname(), [trial.number])):
        dead.storage.set_trial_user_attr(trial._trial_id, "lease", {"worker": f"{host}-{process.pid}", "time": 0.0})
        assert reaper.reap() == reaped


def test_a_lost_run_is_an_outcome_and_the_worst(study: Study) -> None:
    def fragile(job: Job, report: Report) -> Mapping[str, float]:
        if dict(job.point)["v_th"] == 0.4:
            raise RunFailed("dead network")
        return easy(job, report)

    queue = Queue(study, None, FAST)
    serve(queue, fragile)
    assert_each_once(queue)
    assert [outcome.name for outcome in queue.states().values()].count("lost") == 4
    assert dict(study.best_points(queue.states())[0])["v_th"] == 0.61


def test_a_metric_that_is_not_there(study: Study) -> None:
    with pytest.raises(UserError, match="unknown metric 'nmse' of pattern_generation; did you mean mse"):
        serve(Queue(study, None, FAST), lambda job, report: {"mse": 1.0})


def test_another_study_of_the_same_name(study: Study, url: str | None) -> None:
    Queue(study, url)
    with pytest.raises(UserError, match="was begun with other runs than its file names now"):
        Queue(dataclasses.replace(study, seeds=(100, 102)), url)
    Queue(dataclasses.replace(study, metrics=("mse",), about="how points are ranked may change"), url)


@pytest.mark.parametrize("bad", ["nonsense://x", "sqlite:////proc/no/such.db", "/proc/no/such.log"])
def test_a_storage_that_cannot_be_used(study: Study, bad: str) -> None:
    with pytest.raises(UserError, match=f"cannot use the storage {bad}: ") as caught:
        Queue(study, bad)
    assert "\n" not in str(caught.value)


WORKER = """
import os, sys, time
from pathlib import Path
from repro.jobs.queue import Queue
from repro.jobs.timing import Timing
from repro.studies.studyfile import load
from tests.jobs.serving import serve

def slow(job, report):
    with open(sys.argv[2], "a") as log:
        log.write(f"{os.getpid()} {job}\\n")
    time.sleep(0.2)
    return {"nmse": dict(job.point)["v_th"] + 1e-3 * job.seed}

serve(Queue(load(Path(sys.argv[1])), sys.argv[3] or None, Timing(0.3, 60.0, 0.1)), slow)
"""


def test_four_workers_one_killed(study: Study, write: Callable[[], Path], tmp_path: Path, url: str | None) -> None:
    log = tmp_path / "log.txt"
    Queue(study, url)  # tables are made once
    command = [sys.executable, "-c", WORKER, str(write()), str(log), url or ""]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    while not (busy := [worker for worker in workers if log_of(log)[worker.pid] >= 2]):  # the first in a second run
        assert any(worker.poll() is None for worker in workers)
        time.sleep(0.005)
    victim = busy[0]
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()  # or it would be there still, for those that look
    ends = [worker.wait(60) for worker in workers if worker is not victim]
    said = b"".join(worker.stderr.read() for worker in workers if worker.stderr)
    assert ends == [0, 0, 0], said
    queue = Queue(study, url)
    assert_each_once(queue)
    begun = sum(log_of(log).values())
    died = [trial for trial in queue.trials(TrialState.FAIL) if trial.user_attrs["why"] == "its worker died"]
    assert begun == study.size + len(died), "only the killed worker's run is begun twice"
    assert len(died) <= 1


def log_of(log: Path) -> Counter[int]:
    """Runs begun, by worker."""
    return Counter(int(line.split()[0]) for line in (log.read_text() if log.exists() else "").splitlines())


def test_timing_leaves_room() -> None:
    assert Timing().renew * 3 < Timing().stale


def test_a_torn_last_line_of_a_journal_is_mended(tmp_path: Path) -> None:
    """As a kill leaves it; Optuna would append to the torn line, and no longer read the journal."""
    path, whole = tmp_path / "journal.log", b'{"op_code": 0}\n{"op_code": 4}\n'
    for torn, mended in ((b'{"op_co', whole), (b'{"op_code": 6}', whole + b'{"op_code": 6}\n'), (b"", whole)):
        path.write_bytes(whole + torn)
        mend(path)
        assert path.read_bytes() == mended


def test_reading_a_study_writes_nothing(results: Path, study: Study) -> None:
    Queue(study).fill()
    journal = study_folder(study.name) / "journal.log"
    before = journal.read_bytes()
    Queue(study).states()
    assert journal.read_bytes() == before


def test_numbers_are_stored_as_numbers(study: Study, url: str | None) -> None:
    study = dataclasses.replace(study, variants=("e_prop_1", "bptt"))
    queue = Queue(study, url, FAST)
    serve(queue, easy)
    assert queue.optuna.metric_names == ["nmse"]
    trial = queue.trials(TrialState.COMPLETE)[0]
    kinds = {key: type(kind).__name__ for key, kind in trial.distributions.items()}
    assert kinds == {
        **{"learning_rate": "FloatDistribution", "v_th": "FloatDistribution"},
        **{"variant": "CategoricalDistribution", "seed": "IntDistribution"},
    }
    assert (trial.distributions["v_th"].low, trial.distributions["v_th"].high) == (0.4, 0.9)


def test_a_queue_with_texts_for_numbers_goes_on(study: Study, url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As queues were before: Optuna refuses two kinds of one parameter."""
    queue = Queue(study, url, FAST)
    queue.fill()
    with monkeypatch.context() as patch:
        patch.setattr("repro.jobs.queue.distribution", lambda choice: CategoricalDistribution(tuple(choice)))
        attempt = queue.take()
    assert attempt is not None
    queue.finish(attempt, {"nmse": 1.0})
    serve(Queue(study, url, FAST), easy)
    assert_each_once(queue)


def test_processes_that_fill_at_once_enqueue_each_job_once(study: Study, url: str | None) -> None:
    queues = [Queue(study, url, dataclasses.replace(FAST, stale=60.0)) for _ in range(8)]
    together(*(queue.fill for queue in queues))
    assert set(counted(queues[0]).values()) == {1}
    together(*(lambda queue=queue: serve(queue, easy) for queue in queues))
    assert_each_once(queues[0])
    assert not queues[0].trials(TrialState.FAIL)


def test_control_without_the_lock_jobs_are_enqueued_twice(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.jobs.queue.filling", lambda study, url: contextlib.nullcontext())
    queues = [Queue(study, None, FAST) for _ in range(8)]
    together(*(queue.fill for queue in queues))
    assert max(counted(queues[0]).values()) > 1


def test_four_workers_search(write: Callable[[str], Path], url: str | None) -> None:
    """No point is drawn twice, none too many, and no attempt is given up."""
    study = load(write(SEARCH))
    patient = dataclasses.replace(FAST, stale=60.0)  # a worker may wait long for SQLite's lock
    queues = [Queue(study, url, patient) for _ in range(4)]
    together(*(lambda queue=queue: serve(queue, easy) for queue in queues))
    states = queues[0].states()
    assert len(study.points_in(states)) == 12 and len(states) == study.size == 24
    assert_each_once(queues[0])
    assert not queues[0].trials(TrialState.FAIL)
    assert all(state.seconds > 0 for state in states.values())


def test_a_trial_with_other_settings_is_refused(study: Study) -> None:
    Queue(study, None, FAST).fill()
    journal = study_folder(study.name) / "journal.log"
    text = journal.read_text()
    assert text.count('"v_th":0.61') == 4
    journal.write_text(text.replace('"v_th":0.61', '"v_th":0.62', 1))
    with pytest.raises(UserError, match=r"the queue is damaged: trial \d+ has not the settings of its run \(learning_"):
        Queue(study, None, FAST).states()
    journal.write_text(text)  # control
    assert len(Queue(study, None, FAST).states()) == 12


def test_jobs_that_ended_elsewhere(study: Study, url: str | None) -> None:
    queue = Queue(study, url, FAST)
    queue.fill()
    running, ended, lost, pruned, waiting = study.search[:5]
    first, second = queue.take(), queue.take()
    assert first is not None and second is not None and (first.job, second.job) == (running, ended)
    queue.finish(second, {"nmse": 1.0})
    elsewhere = {job: JobState("finished", {"nmse": 0.5}) for job in (running, ended, waiting)}
    elsewhere |= {lost: JobState("lost", reason="the loss is NaN"), pruned: JobState("pruned")}
    assert [queue.adopt(elsewhere), Queue(study, url, FAST).adopt(elsewhere)] == [3, 0]
    states = Queue(study, url, FAST).states()
    assert states[running].name == "running" and states[ended].metrics == {"nmse": 1.0}
    assert states[waiting].metrics == {"nmse": 0.5}
    assert (states[lost].name, states[lost].reason, states[pruned].name) == ("lost", "the loss is NaN", "pruned")
    queue.finish(first, {"nmse": 2.0})
    serve(queue, easy)
    assert_each_once(queue)
    assert list(queue.states()) == [*study.search, *study.jobs(study.best_points(queue.states()), study.best_seeds)]


def test_one_that_ended_elsewhere_without_the_metric(study: Study, url: str | None) -> None:
    queue = Queue(study, url, FAST)
    good, bad = JobState("finished", {"nmse": 0.5}), JobState("finished", {"mse": 0.5})
    with pytest.raises(UserError, match="unknown metric 'nmse'"):
        queue.adopt({study.search[0]: good, study.search[1]: bad})
    assert not queue.trials()
    assert queue.adopt({study.search[0]: good}) == 1  # control
