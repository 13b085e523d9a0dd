"""Runs that Slurm makes: submitted, taken away, requeued, cancelled, and never made twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.jobs.figure_runs import FigureRuns
from repro.jobs.queue import Queue
from repro.records.store import read_all
from repro.studies.studyfile import STUDIES, load
from tests.cluster.programs import processes
from tests.cluster.slurm import CORES, Slurm
from tests.studies.conftest import GOOD

pytest.importorskip("submitit")

# Two runs that would take hours; they keep the iteration in which they are asked to end.
LONG = GOOD.replace("[0.4, 0.61, 0.9]", "[0.4]").replace("[0.001, 0.003]", "[0.001]").replace("best = 1", "best = 0")
LONG = LONG.replace("best_seeds = [200]", "").replace("[grid]", "[settings]\niterations = 20000\n[grid]")
HARD = ("--jobs", "1", "--partition", "low", "--memory", "1")


@pytest.fixture(autouse=True)
def command(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of this process and its jobs reach the cluster."""
    for key in [key for key in os.environ if key.startswith("SLURM")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    monkeypatch.setenv("PYTHONPATH", os.getcwd())


def repro(*words: str, status: int = 0) -> str:
    """What a command prints; its exit status must be `status`."""
    done = subprocess.run([sys.executable, "-m", "repro", *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def submitted(printed: str) -> tuple[str, str]:
    """The numbers of the array and of the last job."""
    words = printed.replace(":", "").split()
    array, last = (words[i + 1] for i, word in enumerate(words) if word == "job" and words[i + 1].isdigit())
    return array, last


def test_a_figure_while_the_controller_is_killed(slurm: Slurm, results: Path) -> None:
    printed = repro(
        *["reproduce", "fig1", "--profile", "smoke", "--seeds", "1", "--launcher", "slurm", "--array", "2"], *HARD
    )
    array, last = submitted(printed)
    slurm.wait(lambda: slurm.jobs().get(f"{array}_0", ("",))[0] == "RUNNING")
    slurm.wait_for_save(last)
    slurm.kill("slurmctld")
    slurm.start("slurmctld")
    slurm.wait(lambda: slurm.jobs()[last][0] == "COMPLETED")
    assert {state for state, _ in slurm.jobs().values()} == {"COMPLETED"}
    queue = Queue(FigureRuns("fig1", "smoke"))
    assert [state.name for state in queue.states().values()] == ["finished"] * 9
    assert len(queue.trials()) == 9, "each run was made once"
    assert (results / "figures" / "fig1.png").exists()
    logs = "".join(log.read_text() for log in (queue.jobs.folder / "slurm").glob(f"{array}_*.out"))
    assert logs.count(": finished in ") == 9
    assert "Traceback" not in logs


def events(study_folder: Path) -> list[str]:
    """What the journals of a study's runs report, in order: "started", "resumed", ..."""
    lines = [line for path in study_folder.glob("runs/*/*/*/journal.jsonl") for line in path.read_text().splitlines()]
    return [event["event"] for event in sorted(map(json.loads, lines), key=lambda event: event["time"])]


def progressed(study_folder: Path) -> int:
    """How many runs of a study have trained an iteration since they were begun or resumed."""
    paths = study_folder.glob("runs/*/*/*/progress.json")
    return sum(json.loads(path.read_text())["iteration"] > 0 for path in paths)


def test_preempted_out_of_time_and_cancelled(slurm: Slurm, results: Path, write: Callable[[str], Path]) -> None:
    path = write(LONG)
    array, last = submitted(repro("sweep", str(path), "--launcher", "slurm", "--array", "2", *HARD[2:]))
    queue = Queue(load(path))
    folder = queue.jobs.folder
    tasks = [f"{array}_{index}" for index in range(2)]

    def at_work(event: str, times: int) -> Callable[[], bool]:
        return lambda: events(folder).count(event) >= times and progressed(folder) == 2

    slurm.wait(at_work("started", 2))

    slurm.ask("sbatch", "--partition=high", f"--cpus-per-task={CORES}", "--output=/dev/null", "--wrap=sleep 1")
    slurm.wait(lambda: all(slurm.jobs()[task][1] == 1 for task in tasks))
    slurm.wait(at_work("resumed", 2))

    for task in tasks:  # a minute from now, and the warning comes before
        slurm.ask("scontrol", "update", f"JobId={task}", "TimeLimit=2")
    slurm.wait(lambda: all(slurm.jobs()[task][1] == 2 for task in tasks))
    for task in tasks:
        slurm.ask("scontrol", "update", f"JobId={task}", "TimeLimit=240")
    slurm.wait(at_work("resumed", 4))

    log = next((folder / "slurm").glob(f"{array}_0*.out")).read_text()
    assert log.count("Starting with JobEnvironment") == 3, "each turn appended to the log"
    assert "is requeued: runs are left" in log and "Traceback" not in log

    slurm.ask("scancel", array, last)
    slurm.wait(lambda: all(slurm.jobs()[task][0] == "CANCELLED" for task in tasks))
    assert [slurm.jobs()[task][1] for task in tasks] == [2, 2], "a cancelled job stays cancelled"
    assert queue.workers() == ([], {}), "nothing is left running"
    assert {record.status for _, record in read_all(folder / "runs")} == {"unfinished"}


def test_a_task_that_is_killed_is_replaced_by_the_other(
    slurm: Slurm, results: Path, write: Callable[[str], Path]
) -> None:
    path = write(GOOD.replace("[grid]", "[settings]\niterations = 200\n[grid]"))
    array, last = submitted(repro("sweep", str(path), "--launcher", "slurm", "--array", "2", *HARD[2:]))
    queue = Queue(load(path))
    slurm.wait(lambda: len(queue.workers()[0]) == 2)
    theirs = processes(f"REPRO_RESULTS={results}", "SLURM_ARRAY_TASK_ID=0")
    os.kill(next(number for number, line in theirs.items() if "-m repro work" in line), signal.SIGKILL)
    slurm.wait(lambda: slurm.jobs()[last][0] == "COMPLETED")
    assert slurm.jobs()[f"{array}_0"] == ("FAILED", 0)
    assert slurm.jobs()[f"{array}_1"] == ("COMPLETED", 0)
    assert [state.name for state in queue.states().values()] == ["finished"] * queue.jobs.size
    assert len([trial for trial in queue.trials() if trial.state.name == "FAIL"]) == 1, "control: one was interrupted"
    assert (queue.jobs.folder / "landscape.png").exists()


def test_the_array_script_comes_back_too(slurm: Slurm, results: Path, write: Callable[[str], Path]) -> None:
    path = write(LONG)
    program = path.parent / ".venv" / "bin" / "repro"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m repro "$@"\n')
    program.chmod(0o755)
    options = ["--array=0-0", "--partition=low", "--time=240", f"--output={path.parent}/log-%a.txt"]
    command = ["sbatch", *options, str(STUDIES / "slurm_array.sh"), "sweep", str(path)]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=True)
    task = f"{done.stdout.split()[-1]}_0"
    folder = load(path).folder
    slurm.wait(lambda: "started" in events(folder) and progressed(folder))
    slurm.ask("scontrol", "update", f"JobId={task}", "TimeLimit=2")
    slurm.wait(lambda: slurm.jobs()[task][1] == 1)
    slurm.ask("scontrol", "update", f"JobId={task}", "TimeLimit=240")
    slurm.wait(lambda: "resumed" in events(folder))
    slurm.ask("scancel", task)
    slurm.wait(lambda: slurm.jobs()[task][0] == "CANCELLED")
    assert slurm.jobs()[task][1] == 1
    log = (path.parent / "log-0.txt").read_text()
    assert log.count("a_try: 1 point x 2 seeds") == 2 and "Traceback" not in log, "each turn appended to the log"


def test_what_slurm_refuses(slurm: Slurm, results: Path) -> None:
    words = ["reproduce", "fig1", "--profile", "smoke", "--seeds", "1", "--launcher", "slurm", "--partition", "nowhere"]
    said = repro(*words, status=2)
    assert "repro: error: Slurm refuses: " in said and "invalid partition" in said


def test_slurm_accepts_the_script_of_a_dry_run(slurm: Slurm, results: Path) -> None:
    printed = repro(
        *[
            "reproduce",
            "fig1",
            "--profile",
            "smoke",
            "--seeds",
            "1",
            "--launcher",
            "slurm",
            "--array",
            "3",
            "--dry-run",
        ],
        *HARD,
    )
    script = "#!" + printed.partition("#!")[2]
    done = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "to start at" in done.stderr
