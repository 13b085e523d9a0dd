"""A queue in PostgreSQL: passwords stay secret, and a server that is away is waited for."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from optuna.trial import TrialState

from repro.errors import UserError
from repro.jobs import patience
from repro.jobs.job import Job
from repro.jobs.queue import LIVE, Queue
from repro.jobs.timing import Timing
from repro.jobs.trials import JOB
from repro.studies.study import Study
from tests.cluster.postgres import PASSWORD, Postgres
from tests.cluster.programs import free_ports
from tests.jobs.serving import Report, serve

QUICK = Timing(renew=0.2, stale=8.0, poll=0.1)


@pytest.fixture
def queue(postgres: Postgres, study: Study, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A queue on the server, which the environment names; deleted at the end."""
    monkeypatch.setenv("REPRO_STORAGE", postgres.url)
    queue = Queue(study, None, QUICK)
    yield queue
    queue.storage.delete_study(queue.optuna._study_id)


def slow(job: Job, report: Report) -> Mapping[str, float]:
    time.sleep(0.5)
    return {"nmse": sum(float(value) for _, value in job.point) + 1e-3 * job.seed}


def assert_each_once(queue: Queue) -> None:
    jobs = queue.jobs.wanted(queue.states())
    assert len(jobs) == queue.jobs.size and queue.is_done()
    assert Counter(trial.user_attrs[JOB] for trial in queue.trials(*LIVE)) == Counter(map(str, jobs))
    assert not queue.trials(TrialState.RUNNING, TrialState.WAITING)


def serve_together(study: Study, number: int, during: object = None) -> None:
    """So many workers, each in a thread; a function that is called while they are at work."""
    with ThreadPoolExecutor(number) as threads:
        workers = [threads.submit(serve, Queue(study, None, QUICK), slow) for _ in range(number)]
        if callable(during):
            time.sleep(0.7)
            during()
        for worker in workers:
            worker.result(timeout=120)


def test_a_server_that_is_restarted(queue: Queue, study: Study, postgres: Postgres) -> None:
    def restart() -> None:
        postgres.stop()
        time.sleep(3)
        postgres.start()

    serve_together(study, 3, during=restart)
    assert_each_once(queue)


def test_control_an_impatient_worker_fails(
    queue: Queue, study: Study, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue.storage, "_patience", 0.0)
    postgres.stop()
    try:
        with pytest.raises(UserError, match="could not be reached") as caught:
            serve(queue, slow)
    finally:
        postgres.start()
    monkeypatch.undo()
    assert PASSWORD not in str(caught.value) and "run the same command again to resume" in str(caught.value)


class Road:
    """A TCP port that leads to the server, and can be blocked: packets vanish then, and nobody answers."""

    def __init__(self, to: int) -> None:
        self.to, self.open = to, threading.Event()
        self.open.set()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            ours, _ = self.listening.accept()
            theirs = socket.create_connection(("127.0.0.1", self.to))
            for one, other in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                self.open.wait()
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_a_network_that_is_down(
    study: Study, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    road = Road(postgres.port)
    monkeypatch.setenv("REPRO_STORAGE", postgres.url.replace(str(postgres.port), str(road.port)))

    def block() -> None:
        road.open.clear()
        threading.Timer(14, road.open.set).start()  # longer than an attempt to connect
        Queue(study)

    serve_together(study, 2, during=block)
    queue = Queue(study, None, QUICK)
    assert_each_once(queue)
    said = capfd.readouterr().err
    assert f"cannot reach the storage postgresql://lab:***@127.0.0.1:{road.port}/queue" in said
    assert PASSWORD not in said
    queue.storage.delete_study(queue.optuna._study_id)


def test_a_password_on_the_command_line_is_refused(study: Study, postgres: Postgres) -> None:
    with pytest.raises(UserError, match="every user of this machine can read a password") as caught:
        Queue(study, postgres.url)
    assert PASSWORD not in str(caught.value) and "REPRO_STORAGE" in str(caught.value)


def test_a_password_in_a_file(
    study: Study, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".pgpass"
    file.write_text(f"127.0.0.1:{postgres.port}:queue:lab:{PASSWORD}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    queue = Queue(study, postgres.address, QUICK)
    queue.fill()
    assert len(queue.trials(TrialState.WAITING)) == study.size - 1
    queue.storage.delete_study(queue.optuna._study_id)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ((PASSWORD, "battery-staple"), "password authentication failed"),
        (("/queue", "/queues"), "does not exist"),
        (("127.0.0.1", "no-such-host.invalid"), "resolve host|Name or service not known"),
    ],
)
def test_a_wrong_url_is_not_waited_for(
    wrong: tuple[str, str], reason: str, study: Study, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_STORAGE", postgres.url.replace(*wrong))
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: pytest.fail("it waited"))
    with pytest.raises(UserError, match=reason) as caught:
        Queue(study)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value) and "battery" not in str(caught.value)


def test_a_server_that_is_not_there(
    study: Study, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("repro.jobs.databases.WAIT_SECONDS", 1.0)
    monkeypatch.setenv("REPRO_STORAGE", postgres.url.replace(str(postgres.port), str(free_ports(1)[0])))
    with pytest.raises(UserError, match="could not be reached for 1 s .*refused"):
        Queue(study)
    assert "trying again" in capfd.readouterr().err


def test_processes_that_fill_at_once_enqueue_each_job_once(queue: Queue, study: Study) -> None:
    queues = [Queue(study, None, QUICK) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda each: each.fill(), queues))
    counted = Counter(trial.user_attrs[JOB] for trial in queue.trials(*LIVE))
    assert set(counted.values()) == {1}
