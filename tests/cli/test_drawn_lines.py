"""Hundreds of command lines that nobody should type: each is done, or refused in one sentence."""

import dataclasses
import random
import re
import urllib.error
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

import benchmarks.run
from benchmarks.run import names_of
from repro.cli.main import main
from repro.errors import RunFailed
from repro.jobs.pool import Pool
from repro.runs import run
from repro.runs.rules import learning_rules
from repro.studies import report
from tests.cli.lines import BELIEVED, OPTIONS, drawn_line, given_values, tree
from tests.studies.conftest import GOOD

LINES = {"run": 300}  # and 30 of each other command


def trained(task: Any, variant: str, profile: str, seed: int, overrides: dict[str, str], *_: Any, **__: Any) -> Any:
    """In place of training: what a config may hold is checked, nothing is made."""
    config = task.resolve(variant, profile, overrides)
    learning_rules(config, seed)
    values = dataclasses.asdict(config).values()
    assert all(abs(value) < 1e16 for value in values if not isinstance(value, str)), overrides
    assert type(seed) is int and 0 <= seed < 2**31
    return SimpleNamespace(metrics={}, status="finished", reason="")


def made(*_: Any) -> NoReturn:
    raise RunFailed("no speech is synthesised here")


def no_network(*_: Any, **__: Any) -> NoReturn:
    raise urllib.error.URLError("no network")


@pytest.fixture
def here(results: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a study file and a file; nothing is trained, drawn or downloaded."""
    folder = results.parent
    (folder / "a-file").write_text("no words")
    (folder / "a_try.toml").write_text(GOOD)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(run, "run", trained)
    monkeypatch.setattr(Pool, "run_all", lambda pool, *_: None)
    monkeypatch.setattr(report, "write", lambda *_: [])
    monkeypatch.setattr("tasks.speech.stand_in.stand_in", made)
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setattr(benchmarks.run, "names_of", lambda name: names_of(name)[:0])  # none is measured
    return folder


def check(line: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """One line: status 2 with one sentence and nothing written, or done, with values that make sense."""
    before = tree(here)
    status = main(line)
    out, err = capsys.readouterr()
    if status == 2:
        assert re.fullmatch(r"(note: .*\n)*repro: error: [^\n]{10,1000}\n", err), (line, err)
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", out + err), line
        assert tree(here) == before, line
    else:
        assert status in (0, 1, 3, 75), line
        for option, right in BELIEVED.items():
            for value in given_values(line, option):
                assert re.fullmatch(right, value), (line, option)
    return status


@pytest.mark.parametrize("command", OPTIONS)
def test_drawn_lines(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(f"lines of {command}")
    statuses = [check(drawn_line(chance, command), here, capsys) for _ in range(LINES.get(command, 30))]
    assert 2 in statuses


def test_a_check_that_believes_is_noticed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.cli.run.checked_minutes", float)
    with pytest.raises(AssertionError):
        test_drawn_lines("run", here, capsys)


@pytest.mark.parametrize("name", ["TIMIT_DIR", "PTB_DIR"])
@pytest.mark.parametrize("value", ["nowhere", "a-file", "a-file/x", "x" * 10_000, "~", " ", "a\nb", "/dev/null"])
def test_data_that_is_not_there(
    name: str, value: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(here)
    monkeypatch.setenv(name, value)
    task = {"TIMIT_DIR": "speech", "PTB_DIR": "word_prediction"}[name]
    line = f"run {task} --variant e_prop_1 --profile smoke --logger none --out new"
    assert check(line.split(), here, capsys) == 2
