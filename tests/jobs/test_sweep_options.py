"""Options that `repro sweep status|table` refuses, and one W&B id that several runs would share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli import reproduce
from repro.cli.main import main
from repro.errors import UserError
from repro.jobs.figure_runs import FigureRuns, job_of_run
from repro.jobs.plan import plan
from repro.jobs.queue import Queue
from repro.records import loggers
from repro.runs.registry import get_task
from repro.studies import table
from repro.studies.studyfile import load
from tests.studies.conftest import GOOD


@pytest.mark.parametrize("word", ["status", "table"])
@pytest.mark.parametrize(
    "option",
    ["--dry-run", "--workers=2", "--minutes=5", "--logger=csv", "--device=cuda", "--launcher=slurm", "--array=2"],
)
def test_what_trains_nothing_refuses_options_of_training(
    results: Path,
    write: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
    option: str,
) -> None:
    monkeypatch.setattr(table, "write", lambda *_, **__: pytest.fail("a table is written"))
    assert main(["sweep", word, str(write(GOOD)), option]) == 2
    name = option.partition("=")[0]
    assert f"{name} is for training; `repro sweep {word} STUDY` takes --storage alone" in capsys.readouterr().err
    assert not results.exists()


@pytest.fixture
def one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B is installed and offline, and one id is to name every run."""
    monkeypatch.setitem(loggers.NEEDS, "wandb", ("json",))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_RUN_ID", "mine")


@pytest.mark.usefixtures("one_id")
def test_one_id_for_all_runs_of_a_study(
    results: Path, write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(GOOD)
    refused = "WANDB_RUN_ID names one W&B run, and 13 runs are to be trained"
    assert main(["sweep", str(path)]) == 2 and refused in capsys.readouterr().err
    assert not results.exists()
    assert main(["sweep", str(path), "--logger", "csv", "--dry-run"]) == 0  # control
    Queue(load(path)).fill()
    assert main(["work", str(path)]) == 2 and refused in capsys.readouterr().err


@pytest.mark.usefixtures("one_id")
def test_one_id_for_all_runs_of_a_figure(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = plan([get_task("pattern_generation")], "smoke")[:2]
    Queue(FigureRuns("fig1", "smoke", runs)).fill([job_of_run(run) for run in runs])
    refused = "WANDB_RUN_ID names one W&B run, and 2 runs are to be trained"
    assert main(["work", "fig1-smoke"]) == 2 and refused in capsys.readouterr().err
    monkeypatch.setattr(reproduce, "open_queue", lambda *_: (_ for _ in ()).throw(UserError("the guard let it pass")))
    command = ["reproduce", "fig1", "--profile", "smoke"]
    assert main(command) == 2 and "WANDB_RUN_ID names one" in capsys.readouterr().err
    assert main([*command, "--logger", "csv"]) == 2 and "the guard let it pass" in capsys.readouterr().err
