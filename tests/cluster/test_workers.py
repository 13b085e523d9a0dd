"""Workers of several machines serve one study in PostgreSQL; some are killed, and the server is restarted."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repro.jobs.queue import Queue
from repro.jobs.trials import JOB
from repro.records.store import read_all
from repro.studies.studyfile import load
from tests.cluster.postgres import PASSWORD, Postgres
from tests.cluster.programs import processes
from tests.studies.conftest import GOOD

# Thirteen runs of a few seconds.
STUDY = GOOD.replace("[grid]", "[settings]\niterations = 200\n[grid]")


@contextlib.contextmanager
def workers_of(path: Path, *hosts: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`repro work` on machines of these names."""
    script = 'hostname "$0" && exec "$@"'
    command = [sys.executable, "-m", "repro", "work", str(path)]
    with (path.parent / "workers.log").open("ab") as log:
        workers = [
            subprocess.Popen(["unshare", "--uts", "sh", "-c", script, host, *command], stdout=log, stderr=log)
            for host in hosts
        ]
    try:
        yield workers
    finally:
        for each in workers:
            each.kill()


def until(is_so: Callable[[], object], seconds: float, why: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, why()
        time.sleep(0.2)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a process another host name")
def test_four_workers_of_two_hosts(
    postgres: Postgres, results: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_STORAGE", postgres.url)
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    path = write(STUDY)
    log = path.parent / "workers.log"
    queue = Queue(load(path))
    queue.fill()

    def states(name: str) -> int:
        return [state.name for state in queue.states().values()].count(name)

    with workers_of(path, "node-a", "node-a", "node-b", "node-b") as workers:
        until(lambda: states("finished") >= 2 and states("running") == 4, 600, log.read_text)
        assert {name.rpartition("-")[0] for name in queue.workers()[0]} == {"node-a", "node-b"}
        lines = processes(f"REPRO_RESULTS={results}").values()
        assert len(lines) >= 8 and not any(PASSWORD in line for line in lines)  # four, and one that trains for each

        for victim in (workers[0], workers[2]):
            victim.kill()
        postgres.stop()
        time.sleep(5)
        postgres.start()
        assert [each.wait(600) for each in workers] == [-signal.SIGKILL, 0, -signal.SIGKILL, 0], log.read_text()

    assert queue.is_done() and states("finished") == queue.jobs.size
    ended = Counter(trial.user_attrs[JOB] for trial in queue.trials() if trial.state.name == "COMPLETE")
    assert len(ended) == queue.jobs.size and set(ended.values()) == {1}
    assert sum(record.status == "finished" for _, record in read_all(queue.jobs.folder / "runs")) == queue.jobs.size
    until(lambda: not processes(f"REPRO_RESULTS={results}"), 20, lambda: "something is left running")
    assert queue.workers() == ([], {})

    command = [sys.executable, "-m", "repro", "sweep", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "nothing to train: every run is done" in done.stdout
    assert (queue.jobs.folder / "landscape.png").exists()
    said = log.read_text() + done.stdout + done.stderr
    assert "cannot reach the storage postgresql://lab:***@" in said and "Traceback" not in said
    texts = [file.read_bytes() for file in [*results.rglob("*.log"), *results.rglob("*.json*"), *results.rglob("*.md")]]
    assert not any(PASSWORD.encode() in text for text in [said.encode(), *texts])
    queue.storage.delete_study(queue.optuna._study_id)
