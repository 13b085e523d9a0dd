"""A command that only joins or looks makes no queue, in a storage that holds others too."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from repro.cli.main import main
from repro.jobs.figure_runs import FigureRuns
from repro.jobs.queue import Queue
from repro.jobs.storage import VARIABLE, begun
from repro.studies.studyfile import load
from tests.studies.conftest import GOOD

OTHER = "another study"


@pytest.fixture(params=["journal", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage that holds another study."""
    url = f"{tmp_path}/shared.log" if request.param == "journal" else f"sqlite:///{tmp_path}/shared.db"
    optuna.create_study(storage=opened(url), study_name=OTHER)
    return url


def opened(url: str) -> optuna.storages.BaseStorage:
    if "://" in url:
        return optuna.storages.RDBStorage(url)
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(url))


def names(url: str) -> list[str]:
    return optuna.get_all_study_names(opened(url))


def test_work_refuses_a_queue_that_was_never_begun(
    url: str, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, url)
    assert main(["work", "fig1-papr"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    begins = "`repro reproduce fig1 --profile papr` begins it"
    assert printed.err == f"repro: error: there is no queue fig1-papr in {url}; {begins}\n"
    assert names(url) == [OTHER] and not results.exists()


@pytest.mark.parametrize("words", [("status", "STUDY"), ("STUDY", "--dry-run")])
def test_looking_at_a_study_begins_none(
    url: str, results: Path, write: Callable[[str], Path], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    path = str(write(GOOD))
    assert main(["sweep", *(path if word == "STUDY" else word for word in words), "--storage", url]) == 0
    assert "a_try: 6 points x 2 seeds" in capsys.readouterr().out
    assert names(url) == [OTHER] and not results.exists()


def test_control_a_queue_that_was_begun_is_there(url: str, results: Path, write: Callable[[str], Path]) -> None:
    study = load(write(GOOD))
    assert not begun(study, url)
    Queue(study, url)
    assert begun(study, url) and not begun(FigureRuns("fig1", "smoke"), url)
    assert sorted(names(url)) == ["a_try", OTHER]
