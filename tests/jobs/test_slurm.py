"""What is submitted to Slurm, and what a job does when it has to stop; tests/cluster has a Slurm that runs it."""

import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.cli.main import main
from repro.jobs import slurm_job
from repro.jobs.slurm import Allocation, Submission
from repro.jobs.slurm_job import Work
from repro.studies.studyfile import STUDIES
from tests.studies.conftest import GOOD

LAUNCH = ("reproduce", "fig1", "--profile", "smoke", "--launcher", "slurm")

# The last task of an array has the array's number: requeueing that would requeue all tasks.
TASK = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}


def fake(folder: Path, name: str, script: str) -> None:
    """A program in a folder."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def cluster(folder: Path, state: str) -> dict[str, str]:
    """An environment with a Slurm whose one job is in this state; it notes what is requeued."""
    fake(folder / "bin", "squeue", f"echo {state}")
    fake(folder / "bin", "scontrol", f'echo "$@" >> {folder}/requeued')
    fake(folder / "bin", "srun", 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"')
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return os.environ | {"PATH": path, **TASK, "SLURM_SUBMIT_DIR": str(folder)}


TURNS = [(75, "RUNNING", True), (75, "COMPLETING", False), (1, "RUNNING", False), (0, "RUNNING", False)]


@pytest.mark.parametrize(("status", "state", "again"), TURNS)
def test_only_an_unfinished_job_that_still_runs_is_requeued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, state: str, again: bool
) -> None:
    for key, value in cluster(tmp_path, state).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(slurm_job, "repro", lambda *words: [sys.executable, "-c", f"raise SystemExit({status})"])
    monkeypatch.setattr(slurm_job.signal, "signal", lambda number, handler: None)  # pytest keeps its handlers
    if status:
        with pytest.raises(SystemExit) as end:
            Work(("work", "fig1-smoke"))()
        assert end.value.code == status
    else:
        Work(("work", "fig1-smoke"))()
    assert (tmp_path / "requeued").exists() == again
    assert not again or (tmp_path / "requeued").read_text() == "requeue 7_3\n"


@pytest.mark.parametrize(("status", "state", "again"), TURNS)
def test_the_array_script_does_the_same(tmp_path: Path, status: int, state: str, again: bool) -> None:
    fake(tmp_path / ".venv" / "bin", "repro", f'echo "$@"; exit {status}')
    command = ["bash", str(STUDIES / "slurm_array.sh"), "sweep", "a_study"]
    done = subprocess.run(command, env=cluster(tmp_path, state), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "sweep a_study\n", "")
    assert (tmp_path / "requeued").exists() == again
    assert not again or (tmp_path / "requeued").read_text() == "requeue 7_3\n"


def test_the_array_script_wants_a_command(tmp_path: Path) -> None:
    command = ["bash", str(STUDIES / "slurm_array.sh")]
    done = subprocess.run(command, env=cluster(tmp_path, "RUNNING"), capture_output=True, text=True, check=False)
    assert done.returncode and "usage: sbatch" in done.stderr


def test_a_dry_run_prints_the_script(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("submitit")
    words = ("--array", "4", "--jobs", "2", "--partition", "gpu", "--gres", "gpu:1", "--sbatch", "qos=long")
    assert main([*LAUNCH, *words, "--time", "30", "--device", "cuda", "--dry-run"]) == 0
    script = capsys.readouterr().out.partition("#!")[2].splitlines()
    wanted = ("array=0-3%4", "cpus-per-task=2", "gres=gpu:1", "mem=4096MB", "open-mode=append", "partition=gpu")
    assert "srun" in script[-1] and "--cpus-per-task=2" in script[-1]  # srun takes none from sbatch
    for option in (*wanted, "qos=long", "requeue", "signal=USR1@120", "time=30"):
        assert f"#SBATCH --{option}" in script
    assert f"-m submitit.core._submit {results}/queues/fig1-smoke/slurm" in script[-1]
    assert not list(results.rglob("*.pkl"))


def test_the_last_job_has_one_worker_s_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitit = pytest.importorskip("submitit")
    asked = []

    def update(executor: object, **parameters: object) -> None:
        asked.append((parameters["cpus_per_task"], parameters["mem"]))

    job = types.SimpleNamespace(job_id="7_0")
    monkeypatch.setattr(submitit.SlurmExecutor, "update_parameters", update)
    monkeypatch.setattr(submitit.SlurmExecutor, "map_array", lambda *words: [job])
    monkeypatch.setattr(submitit.SlurmExecutor, "submit", lambda *words: job)
    Submission("a", ("work",), ("sweep",), Allocation(3, 8, 32.0, 60, {}), tmp_path).submit()
    assert asked == [(8, "32768MB"), (1, "4096MB")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--minutes", "5"), "--time is the limit of a job of Slurm"),
        (("--storage", "sqlite:///q.db"), "SQLite is not for several machines"),
        (("--sbatch", "qos"), "wants KEY=VALUE"),
        (("--memory", "much"), "wants a number of GB"),
        (("--launcher", "local", "--gres", "gpu:1"), "--gres is for --launcher slurm"),
    ],
)
def test_options_that_do_not_go_together(
    results: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert main([*LAUNCH, *words, "--dry-run"]) == 2
    assert sentence in capsys.readouterr().err
    assert not results.exists()


def test_without_submitit(results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main([*LAUNCH, "--dry-run"]) == 2
    assert "`pip install submitit` adds it" in capsys.readouterr().err


def test_without_slurm(results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(list(LAUNCH)) == 2
    assert "there is no sbatch here; run this on the cluster's login node" in capsys.readouterr().err


def test_a_dry_run_of_a_study_trains_nothing(results: Path, write: Callable[[str], Path], capsys: Any) -> None:
    assert main(["sweep", str(write(GOOD)), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("a_try: 6 points x 2 seeds") and not results.exists()


@pytest.mark.parametrize("option", ["--array=20", "--time=60", "--memory=4"])
def test_options_of_slurm_without_slurm_are_refused(option: str, results: Path, capsys: Any) -> None:
    assert main(["reproduce", "fig1", "--dry-run", option]) == 2
    assert f"{option.partition('=')[0]} is for --launcher slurm" in capsys.readouterr().err
