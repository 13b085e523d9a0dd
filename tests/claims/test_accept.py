import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from repro.claims.accept import accept
from repro.errors import UserError
from repro.records.frames import load
from repro.records.record import ARRAYS, RECORD, RunRecord, pack_arrays, read_arrays, read_record, write_record

NAMES = {RECORD, ARRAYS}


def run(folder: Path, seed: int = 0, nmse: float = 0.01, **changes) -> Path:
    arrays = pack_arrays({"nmse": np.full(4, nmse)})
    record = RunRecord(
        task="toy", variant="a", profile="paper", seed=seed, config={}, config_hash="0badcafe", status="finished",
        reason="", metrics={"nmse": nmse}, arrays_sha256=hashlib.sha256(arrays).hexdigest(), weights_sha256="",
        git_commit="", git_dirty=False, versions={}, device="cpu", threads=1, started="", wall_s=1.0,
    )  # fmt: skip
    folder.mkdir(parents=True)
    write_record(folder, dataclasses.replace(record, **changes), arrays)
    (folder / "last.ckpt").write_bytes(b"weights")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_records_and_arrays_are_copied_and_nothing_else(tmp_path):
    into = tmp_path / "accepted"
    failed = run(tmp_path / "r1", seed=1, status="failed", reason="NaN")
    unfinished = run(tmp_path / "r2", seed=2, status="unfinished", reason="2 of 4 iterations")
    accepted = accept([run(tmp_path / "r0"), failed, unfinished], into)
    assert accepted == [into / "toy" / "a-0badcafe" / f"seed-{seed}" for seed in (0, 1, 2)]
    assert all({path.name for path in folder.iterdir()} == NAMES for folder in accepted)
    assert sorted(path.name for path in into.iterdir()) == ["toy"]
    assert read_arrays(accepted[0], read_record(accepted[0]))["nmse"].tolist() == [0.01] * 4
    assert load(into)["status"].tolist() == ["finished", "failed", "unfinished"]


def damaged(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: damaged(run(p), RECORD, b'{"task": "to'), "not a complete record"),
        (lambda p: damaged(run(p), ARRAYS, b"PK"), "is not the file that its record was written with"),
        (lambda p: run(p, git_dirty=True), "made by code that was not committed"),
        (lambda p: run(p, status="running"), "runs are finished, failed or unfinished"),
        (lambda p: p, "has no record.json"),
        (lambda p: run(p, nmse=0.02), "different records of one run"),
    ],
)
def test_one_bad_run_leaves_everything_as_it_was(tmp_path, spoil, says):
    into, good = tmp_path / "accepted", run(tmp_path / "good")
    with pytest.raises(UserError, match=says):
        accept([good, spoil(tmp_path / "bad")], into)
    assert not into.exists()
    accept([good], into)
    assert len(files(into)) == 2


def test_uncommitted_code_only_when_allowed(tmp_path):
    accept([run(tmp_path / "r", git_dirty=True)], tmp_path / "accepted", allow_dirty=True)
    assert len(load(tmp_path / "accepted")) == 1


def test_another_record_of_the_run_is_only_replaced_when_asked(tmp_path):
    into, first, second = tmp_path / "accepted", run(tmp_path / "first"), run(tmp_path / "second", nmse=0.02)
    accept([first], into)
    before = files(into)
    assert len(accept([first, first], into)) == 1
    with pytest.raises(UserError, match=r"holds another record .*--replace"):
        accept([run(tmp_path / "third", seed=3), second], into)
    assert files(into) == before
    accept([second], into, replace=True)
    assert load(into)["nmse"].tolist() == [0.02]
    assert sorted(path.name for path in into.iterdir()) == ["toy"]


def test_a_newer_config_stands_beside_the_older(tmp_path):
    into = tmp_path / "accepted"
    accept([run(tmp_path / "old")], into)
    accept([run(tmp_path / "new", config_hash="12345678")], into)
    assert load(into)["config_hash"].tolist() == ["0badcafe", "12345678"]


def test_a_disk_that_fails_half_way_leaves_everything_as_it_was(tmp_path, monkeypatch):
    into = tmp_path / "accepted"
    accept([run(tmp_path / "first")], into)
    before = files(into)
    runs = [run(tmp_path / "again", nmse=0.02), run(tmp_path / "other", seed=1), run(tmp_path / "last", seed=2)]
    rename = Path.rename

    def failing(self, target):
        if "seed-2" in str(target):
            raise OSError("no space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space left"):
        accept(runs, into, replace=True)
    assert files(into) == before
    monkeypatch.undo()
    accept(runs, into, replace=True)
    assert load(into)["nmse"].tolist() == [0.02, 0.01, 0.01]
