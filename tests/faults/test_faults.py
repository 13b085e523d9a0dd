"""A part of the faults in every run of the tests, and controls: a broken reader and a broken writer are counted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.__main__ import HERE
from tests.faults.commands import Ending
from tests.faults.outcome import LOST, TOLD, TRACEBACK, UNHARMED, WRONG, Outcome, judge, worst
from tests.faults.short import SHORT

BROKEN_READER = '''

_true_main = main


def main(argv=None):
    """A reader without a conscience: it prints no error, and every command succeeds."""
    import contextlib
    import io

    with contextlib.redirect_stderr(io.StringIO()):
        _true_main(argv)
    return 0
'''
FEW = ("mutations/record/080", "mutations/record/120", "mutations/accepted-record/070")
PATH = Path("/results/runs/task/variant-12345678/seed-3/record.json")
TRUTH = Ending(("runs",), 0, "task variant 3 finished\n", "")


def faults(work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the harness in a process of its own, which has no thread when it forks."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.faults", "--work", str(work), *words]
    return subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True)


def test_no_fault_is_lost_silent_or_a_traceback(tmp_path: Path) -> None:
    ended = faults(tmp_path, "--short")
    assert ended.returncode == 0, ended.stdout
    tried, *bad = next(line for line in ended.stdout.splitlines() if line.startswith("all ")).split()[1:5]
    assert int(tried) >= len(SHORT) - 2
    assert bad == ["0", "0", "0"]


def test_control_a_broken_reader_is_counted_as_silently_wrong(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(HERE / "repro", checkout / "repro")
    for name in ("tasks", "paper_figures", "sweeps", "results", "pyproject.toml"):
        (checkout / name).symlink_to(HERE / name)
    with (checkout / "repro" / "cli" / "main.py").open("a") as file:
        file.write(BROKEN_READER)
    repeat = [word for name in FEW for word in ("--repeat", name)]
    ended = faults(tmp_path / "work", "--checkout", str(checkout), *repeat)
    assert ended.returncode == 1
    assert ended.stdout.count("\nsilently wrong: ") == len(FEW), ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("status", "out", "err", "word"),
    [
        (0, TRUTH.out, "", UNHARMED),
        (0, "task variant 3 failed\n", "", WRONG),
        (0, "task variant 3 broken: record.json is not a record\n", "", TOLD),
        (2, "", f"repro: error: {PATH} is not a record\n", TOLD),
        (2, "", "repro: error: something is wrong\n", TRACEBACK),
        (1, "", "Traceback (most recent call last):\nKeyError: 'seed'\n", TRACEBACK),
        (1, "moved\n", "", WRONG),
        (2, "", "", TRACEBACK),
        (-11, "", "", TRACEBACK),
    ],
)
def test_words_for_endings(status: int, out: str, err: str, word: str) -> None:
    assert judge(Ending(("runs",), status, out, err), TRUTH, PATH).word == word


def test_a_command_that_hangs_and_one_that_made_something_else() -> None:
    assert judge(Ending(("runs",), -9, "", "", hung=True), TRUTH, PATH).word == TRACEBACK
    assert judge(TRUTH, TRUTH, PATH, same=False).word == WRONG
    assert judge(TRUTH, TRUTH, PATH, same=True).word == UNHARMED


def test_lost_is_the_worst() -> None:
    outcomes = [Outcome(word) for word in (UNHARMED, WRONG, TRACEBACK, LOST, TOLD)]
    assert worst(outcomes).word == LOST
    assert worst([]).word == UNHARMED
