"""`repro sweep` as a user meets it, with real training of the smallest size."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from repro.cli.main import main
from repro.jobs.queue import Queue
from repro.records.progress import read_progress
from repro.records.store import read_all
from repro.studies import table
from repro.studies.studyfile import load
from tests.cli.test_command_line import HEAVY, repro
from tests.studies.conftest import FAST, GOOD, SEARCH

SMALL = GOOD.replace("[0.4, 0.61, 0.9]", "[0.4]")
LONG = SMALL.replace("[grid]", "[settings]\niterations = 100000\n[grid]")
PRUNED = SMALL.replace("[0.001, 0.003]", "[0.001, 0.003, 1e-6]").replace("[100, 101]", "[100]")
PRUNED += '[pruning]\nmetric = "loss"\nfirst = 6\nevery = 2\nfinished = 2\n'


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def start(path: Path, workers: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "repro", "sweep", str(path), "--workers", str(workers), *options]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    # Tests that were started in the background ignore Ctrl-C, and so would all that they start.
    return subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes)


def at_work(results: Path, process: subprocess.Popen[str]) -> int:
    """Wait until a worker trains a run; its process."""
    end = time.monotonic() + 120
    while not (files := list(results.glob("studies/a_try/runs/*/*/*/progress.json"))):
        assert process.poll() is None and time.monotonic() < end, process.stdout and process.stdout.read()
        time.sleep(0.02)
    progress = read_progress(files[0].parent)
    assert progress is not None
    return progress.pid


def test_a_study_with_a_worker_killed(
    results: Path, write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(SMALL)
    queue = Queue(load(path))
    process = start(path, 2)
    os.kill(at_work(results, process), signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "killed by SIGKILL; begun again" in said
    assert "best: learning_rate=" in said and "with fresh seeds" in said
    assert queue.is_done()
    folder = results / "studies" / "a_try"
    assert sorted(p.name for p in folder.iterdir()) == [
        *("journal.log", "landscape.png", "landscape.svg", "points.log", "runs", "table.md")
    ]
    records = [record for _, record in read_all(folder / "runs")]
    assert sorted(record.seed for record in records) == [100, 100, 101, 101, 200]
    assert (folder / "table.md").read_text().count("\n| 0.00") == 2
    assert len(table.rows_of(load(path))) == len(records)
    before = (folder / "table.md").read_bytes()
    assert main(["sweep", str(path)]) == 0  # nothing left: no process is started
    assert "nothing to train: every run is done" in capsys.readouterr().out
    assert (folder / "table.md").read_bytes() == before


def test_an_interrupt_leaves_no_run_behind(results: Path, write: Callable[[str], Path]) -> None:
    path = write(LONG)
    queue = Queue(load(path))
    process = start(path, 1)
    worker = at_work(results, process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "repro: stopped; the same command resumes each run where it stopped" in said
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert queue.workers() == ([], {})
    queue.fill()
    assert {outcome.name for outcome in queue.states().values()} == {"waiting"}


def test_a_run_is_pruned_and_leaves_no_record(results: Path, write: Callable[[str], Path]) -> None:
    path = write(PRUNED)
    process = start(path, 1)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    queue = Queue(load(path))
    states = {dict(job.point)["learning_rate"]: o.name for job, o in queue.states().items() if job.seed == 100}
    assert states == {0.001: "finished", 0.003: "finished", 1e-6: "pruned"}
    records = [record for _, record in read_all(results / "studies" / "a_try" / "runs")]
    assert 1e-6 not in {record.config["learning_rate"] for record in records}
    assert sorted(record.seed for record in records) == [100, 100, 200]


def test_a_search_with_two_workers_and_a_logger(results: Path, write: Callable[[str], Path]) -> None:
    path = write(
        SEARCH.replace("points = 12", "points = 5").replace("[ranges]", "best = 1\nbest_seeds = [200]\n[ranges]")
    )
    process = start(path, 2, "--logger", "csv", "--device", "cpu")
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert "a_try: 5 points (5 by tpe (seed 0)) x 2 seeds, then the best 1 with 1 fresh" in said
    queue = Queue(load(path))
    assert len(queue.states()) == 11 and queue.is_done()
    assert not queue.trials(TrialState.FAIL)
    runs = results / "studies" / "a_try" / "runs"
    assert len(list(runs.rglob("metrics.csv"))) == 11
    assert len(read_all(runs)) == 11


def test_control_a_sweep_has_no_logger(results: Path, write: Callable[[str], Path]) -> None:
    process = start(write(SMALL), 1)
    process.communicate(timeout=120)
    assert not list(results.rglob("metrics.csv"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--logger", "wnadb"], "unknown logger 'wnadb'; did you mean wandb?"),
        (["--device", "cudda"], "unknown --device 'cudda'; did you mean cuda?"),
        (["--device", "cuda"], "--device cuda: torch finds no GPU here; use --device cpu"),
    ],
)
def test_a_logger_or_device_that_is_not_there(
    results: Path, write: Callable[[str], Path], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    import torch

    if words[-1] == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["sweep", str(write(SMALL)), *words]) == 2
    assert said in capsys.readouterr().err
    assert not results.exists(), "nothing is written"


def test_status(results: Path, write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = write(GOOD)
    assert main(["sweep", "status", str(path)]) == 0
    assert "a_try: 6 points x 2 seeds, then the best 1 with 1 fresh" in (said := capsys.readouterr().out)
    assert "not begun" in said
    assert not results.exists(), "looking writes nothing"
    queue = Queue(load(path), None, FAST)
    queue.fill()
    done, running = queue.take(), queue.take()
    assert done and running
    queue.finish(done, {"nmse": 0.5})
    assert main(["sweep", "status", str(path)]) == 0
    said = capsys.readouterr().out
    assert "1 of 13 done, 1 running, 10 waiting" in said
    assert f"workers at a run: {queue.worker}" in said
    assert "best: learning_rate=0.001 v_th=0.4: nmse 0.5 (1 to come)" in said
    queue.storage.set_trial_user_attr(running.key._trial_id, "lease", {"worker": "far-1", "time": time.time() - 300})
    assert main(["sweep", "status", str(path)]) == 0
    said = capsys.readouterr().out
    assert "workers at a run: none" in said and "stale lease: far-1, not renewed for 5 min" in said


def test_status_needs_no_torch(results: Path, write: Callable[[str], Path]) -> None:
    path = write(GOOD)
    Queue(load(path)).fill()
    blocked = tuple(name for name in HEAVY if name != "optuna")
    done = repro("sweep", "status", str(path), results=results, blocked=blocked)
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 waiting" in done.stdout


def test_without_optuna(results: Path, write: Callable[[str], Path]) -> None:
    done = repro("sweep", str(write(GOOD)), results=results, blocked=("optuna",))
    assert done.returncode == 2
    assert (
        done.stderr == "repro: error: a sweep needs optuna, which is not installed; `pip install optuna` sets it up\n"
    )
    assert not results.exists()
    assert repro("sweep", "--help", blocked=(*HEAVY, "pandas", "numpy", "matplotlib")).returncode == 0
