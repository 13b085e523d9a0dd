"""Whole runs, from the shell to the record: fresh processes of `repro run`, and what their stages take."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time

from benchmarks import statistics
from benchmarks.measure import ROOT, Clock, Row
from benchmarks.statistics import Estimate
from benchmarks.whole_run import STAGES
from repro.errors import RunFailed
from repro.runs.provenance import memory_bytes

TURNS, FEWEST = 5, 2


@dataclasses.dataclass(frozen=True)
class WholeRun:
    """What is run: a variant of a task in a profile, with some values of its config replaced."""

    task: str
    variant: str
    profile: str = "quick"
    settings: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """As typed."""
        words = ["repro run", self.task, "--variant", self.variant, "--profile", self.profile]
        return " ".join([*words, *(f"--set {setting}" for setting in self.settings)])


RUNS = {
    "run_pattern_generation": WholeRun("pattern_generation", "e_prop_1"),
    "run_store_recall": WholeRun("store_recall", "e_prop_1", settings=("iterations=20",)),
    "run_arm_reaching": WholeRun("arm_reaching", "e_prop_2_spiking", settings=("iterations=5",)),
    "run_copy_repeat": WholeRun("copy_repeat", "e_prop_3", "paper", ("iterations=100",)),
    "run_word_prediction": WholeRun("word_prediction", "e_prop_3", "paper", ("iterations=1", "training_words=20000")),
}


@dataclasses.dataclass(frozen=True)
class RunRow(Row):
    """A whole run; `who` is the command. `wall_s`: its time by the clock; `peak_mb`: all memory of its process;
    `stages_s`: CPU seconds by stage; each a median, but the memory."""

    wall_s: Estimate
    stages_s: dict[str, float]


def measure(name: str, run: WholeRun, clock: Clock) -> RunRow:
    """Turns of the command, and of the same in a process that marks the stages. Raises RunFailed where one fails."""
    print(f"{name}: {run.command} ...", file=sys.stderr, flush=True)
    commands: list[tuple[float, float, float]] = []
    marks: list[list[float]] = []
    while len(commands) < TURNS and (len(commands) < FEWEST or clock.left()):
        commands.append(_command(run))
        marks.append(_stages(run))
    wall, cpu, peak = zip(*commands, strict=True)
    by_stage = zip(
        *([end - start for start, end in zip([0.0, *ends], ends, strict=False)] for ends in marks), strict=True
    )
    medians = {stage: statistics.median(series).value for stage, series in zip(STAGES, by_stage, strict=True)}
    seconds, around = statistics.median(cpu), statistics.median(wall)
    return RunRow(
        name, run.command, seconds.value, None, max(peak), run.variant, "ours", *seconds[1:], None, around, medians
    )


def _command(run: WholeRun) -> tuple[float, float, float]:
    """Wall and CPU seconds, and the peak memory [MB], of the command in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "repro", *run.command.split()[1:], "--out", folder]
        start = time.perf_counter()
        process = subprocess.Popen(words, cwd=ROOT, env=_environment(), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
    _check(run, process.returncode)
    return wall, usage.ru_utime + usage.ru_stime, memory_bytes(usage.ru_maxrss) / 2**20


def _stages(run: WholeRun) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        words = [
            sys.executable,
            "-m",
            "benchmarks.whole_run",
            run.task,
            run.variant,
            run.profile,
            folder,
            *run.settings,
        ]
        done = subprocess.run(words, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, check=False)
    _check(run, done.returncode)
    ended: list[float] = json.loads(done.stdout.splitlines()[-1])
    return ended


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}


def _check(run: WholeRun, status: int) -> None:
    if status:
        raise RunFailed(f"`{run.command}` ended with status {status}; its message is above")
