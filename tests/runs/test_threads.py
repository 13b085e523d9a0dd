"""OMP_NUM_THREADS: a warning when training begins with more threads than cores, and the threads that are recorded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.records.record import read_record
from repro.runs.bootstrap import cores

RUN = ["run", "pattern_generation", "--variant", "e_prop_1", "--profile", "smoke", "--logger", "none", "--out"]


def repro(*words: str, threads: str) -> str:
    """What the command prints to standard error."""
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        [sys.executable, "-m", "repro", *words], env=environment, capture_output=True, text=True, check=True
    )
    return done.stderr


@pytest.mark.parametrize("more", [0, 3])
def test_a_warning_where_threads_are_more_than_cores(tmp_path: Path, more: int) -> None:
    threads = cores() + more
    printed = repro(*RUN, str(tmp_path), "--set", "iterations=2", threads=str(threads))
    warnings = [line for line in printed.splitlines() if line.startswith("warning: OMP_NUM_THREADS")]
    assert len(warnings) == bool(more)
    assert all(line.startswith(f"warning: OMP_NUM_THREADS={threads} on {cores()} core") for line in warnings)
    (folder,) = tmp_path.glob("*/*/*")
    command = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    used = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    assert read_record(folder).threads == int(used)  # MKL takes no more threads than there are cores


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert cores() == 3


def test_no_warning_where_nothing_is_trained() -> None:
    assert repro("run", "--help", threads="64") == repro("list", "tasks", threads="64") == ""
