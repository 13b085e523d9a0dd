"""Records of schema 1 become records of schema 2: all that were checked, or none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.records import store
from repro.records.migrate import migrate
from repro.records.record import ARRAYS, RECORD, read_record
from repro.records.sums import SUMS, sums_of, sums_text, verify
from tests.records.made_up import made_run

# The keys of schema 1, written out.
OLD = (
    *("task", "variant", "profile", "seed", "config", "config_hash", "status", "reason", "metrics", "arrays_sha256"),
    *("weights_sha256", "git_commit", "git_dirty", "versions", "device", "threads", "started", "wall_s"),
)


def old_run(root: Path, seed: int = 0, **changes: Any) -> Path:
    """A run's folder as the first schema left it."""
    folder = made_run(root, seed)
    data = json.loads((folder / RECORD).read_text())
    (folder / "weights.npz").unlink()
    (folder / RECORD).write_text(json.dumps({key: data[key] for key in OLD} | {"schema": 1} | changes))
    return folder


def content(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_old_field_is_kept(tmp_path: Path) -> None:
    folder = old_run(tmp_path)
    before, arrays = json.loads((folder / RECORD).read_text()), (folder / ARRAYS).read_bytes()
    with pytest.raises(UserError, match=rf"`repro migrate --records {tmp_path}`"):
        read_record(folder)
    assert migrate([folder]) == [folder]
    after, record = json.loads((folder / RECORD).read_text()), read_record(folder)
    assert {key: after[key] for key in OLD} == {key: before[key] for key in OLD}
    assert (folder / ARRAYS).read_bytes() == arrays
    (part,) = record.parts
    assert (part.wall_s, part.iterations, part.device, part.git_commit) == (1.5, 2, "cpu", "0" * 40)
    assert record.machine == part.machine == record.weights_file_sha256 == ""
    assert "the last process alone" in str(record.extras["provenance"])


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    folders = [old_run(tmp_path, seed) for seed in range(3)]
    assert migrate(folders) == folders
    before = content(tmp_path)
    assert migrate(folders) == []
    assert content(tmp_path) == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    folders = [old_run(tmp_path), made_run(tmp_path, 1)]
    before = content(tmp_path)
    assert migrate(folders, dry_run=True) == folders[:1]
    assert content(tmp_path) == before


def moved(folder: Path) -> None:
    shutil.move(folder, folder.with_name("seed-9"))


def with_other_arrays(folder: Path) -> None:
    (folder / ARRAYS).write_bytes((made_run(folder.parents[2] / "x", loss=(1.0,)) / ARRAYS).read_bytes())


def lacking(folder: Path) -> None:
    data = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps({key: value for key, value in data.items() if key != "metrics"}))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (moved, "is the record of another run, toy/a-0badcafe/seed-1"),
        (with_other_arrays, "is not the file that its record was written with"),
        (lacking, "is not a complete record of schema 1"),
        (lambda folder: (folder / RECORD).write_text("{"), "is not JSON that we wrote"),
    ],
)
def test_one_bad_record_leaves_all_as_they_were(tmp_path: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    root = tmp_path / "runs"
    old_run(root)
    spoil(old_run(root, 1))
    before = content(root)
    with pytest.raises(UserError, match=sentence):
        migrate(store.record_folders(root))
    assert content(root) == before


@pytest.mark.parametrize("by_name", [True, False])
def test_the_list_of_accepted_files_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], by_name: bool
) -> None:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    accepted, runs = tmp_path / "accepted", tmp_path / "runs"
    old_run(accepted), old_run(runs)
    (accepted / SUMS).write_bytes(sums_text(sums_of(accepted)))
    before = content(tmp_path)
    assert main(["migrate", "--dry-run"]) == 0
    assert "would" in capsys.readouterr().out and content(tmp_path) == before
    assert main(["migrate", "--records", "accepted" if by_name else str(accepted)]) == 0
    assert "1 of 1 record migrated" in capsys.readouterr().out
    verify(accepted)
    assert (accepted / SUMS).read_text().count("\n") == 2
    assert main(["migrate", "--records", "runs"]) == 0
    assert not (runs / SUMS).exists()  # control: the list is of accepted files alone
    assert main(["migrate"]) == 0
    assert "0 of 1 record migrated" in capsys.readouterr().out
