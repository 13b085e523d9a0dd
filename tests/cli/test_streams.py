"""Closed streams and a lack of memory end in an exit status and at most one sentence."""

import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from repro.cli import main as cli

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_command_with_a_closed_stream(closed: str) -> None:
    command = f"{sys.executable} -m repro list tasks {closed}"
    ended = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ("pattern_generation" in ended.stdout) == (closed == "2>&-")


def test_without_memory(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def full(*_: Any) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(cli, "_dispatch", full)
    assert cli.main(["runs"]) == 2
    assert capsys.readouterr().err == (
        "repro: error: not enough memory; run fewer processes at a time, or a smaller network\n"
    )
