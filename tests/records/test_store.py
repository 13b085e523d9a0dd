"""Folders of records: the accepted ones are those that their list names, however the folder is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.records import frames, store
from repro.records.sums import SUMS, sums_of, sums_text
from tests.records.made_up import made_run

READERS: list[Callable[[Any], Any]] = [store.run_folders, store.record_folders, store.read_all, frames.load]


@pytest.fixture
def accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of accepted records with one run that its list names, and one that it does not."""
    monkeypatch.setattr(store, "ROOT", tmp_path)
    root = tmp_path / "accepted"
    made_run(root, 0)
    (root / SUMS).write_bytes(sums_text(sums_of(root)))
    made_run(root, 1)
    return root


@pytest.mark.parametrize("read", READERS)
def test_accepted_files_are_checked_by_whatever_name(
    accepted: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Any], Any]
) -> None:
    monkeypatch.chdir(accepted.parent)
    for where in ("accepted", accepted, str(accepted), Path("accepted"), accepted / ".." / "accepted"):
        with pytest.raises(UserError, match="seed-1/.* is not listed"):
            read(where)
    (accepted / SUMS).write_bytes(sums_text(sums_of(accepted)))
    assert len(read("accepted")) == len(read(accepted)) == 2  # control


def test_records_elsewhere_have_no_list(accepted: Path) -> None:
    accepted.rename(accepted.with_name("mine"))
    assert len(store.read_all(accepted.with_name("mine"))) == 2


def test_figures_are_not_drawn_from_files_that_are_not_listed(
    accepted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["figures", "fig1"], ["check"], ["runs"]):
        assert main([*words, "--records", str(accepted)]) == 2
        assert "is not listed (SHA256SUMS lists the accepted files)" in capsys.readouterr().err
    assert not (accepted.parent / "figures").exists()
