"""A run that is asked to end (SIGTERM, or Slurm's SIGUSR1) ends its iteration, keeps it, and leaves."""

import os
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from repro.records.record import read_record
from tests.scripts import run_python

LONG = ("run", "pattern_generation", "--variant", "e_prop_1", "--profile", "smoke", "--set", "iterations=100000")


def ask(folder: Path, number: int) -> str:
    """A program that trains, and gets the signal twice in iteration 8: long before the first checkpoint, at 5000."""
    script = folder / "asked.py"
    script.write_text(
        "import os, sys\n"
        "from repro.cli.main import main\n"
        "from tests.runs.asking import Asking\n"
        f"sys.exit(main({[*LONG, '--logger', 'none', '--out', str(folder)]!r}, [Asking({number})]))\n"
    )
    return str(script)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_iteration_is_kept(processes: ForkServerContext, tmp_path: Path, number: int) -> None:
    env = os.environ | {"PYTHONPATH": os.getcwd()}
    done = run_python(processes, ask(tmp_path, number), folder=tmp_path, env=env)
    assert done.returncode == 75, done.stderr
    assert "the same command resumes where it stopped" in done.stderr and "Traceback" not in done.stderr
    (folder,) = tmp_path.glob("*/*/seed-0")
    record = read_record(folder)
    assert (record.status, record.reason) == ("unfinished", "8 of 100000 iterations")
    assert (folder / "last.ckpt").exists()
