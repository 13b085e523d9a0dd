import contextlib
import dataclasses
import hashlib
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from repro.claims.accept import accept
from repro.errors import UserError
from repro.records.arrays import pack_arrays
from repro.records.frames import load
from repro.records.record import (
    ARRAYS,
    RECORD,
    RunRecord,
    read_arrays,
    read_record,
    read_weights,
    run_path,
    write_record,
)
from repro.records.sums import SUMS, verify

NAMES = {RECORD, ARRAYS}


def run(below: Path, seed: int = 0, nmse: float = 0.01, **changes) -> Path:
    """The folder of a run that was recorded, below a folder of runs."""
    folder = below / run_path("toy", "a", changes.get("config_hash", "0badcafe"), seed)
    arrays = pack_arrays({"nmse": np.full(4, nmse)})
    record = RunRecord(
        task="toy", variant="a", profile="paper", seed=seed, config={}, config_hash="0badcafe", status="finished",
        reason="", metrics={"nmse": nmse}, arrays_sha256=hashlib.sha256(arrays).hexdigest(), weights_sha256="",
        git_commit="", git_dirty=False, versions={}, device="cpu", threads=1, started="2019-02-21T00:00:00", wall_s=1.0,
    )  # fmt: skip
    folder.mkdir(parents=True)
    write_record(folder, dataclasses.replace(record, **changes), arrays)
    (folder / "last.ckpt").write_bytes(b"weights")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """The content of each file that is not hidden."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_records_and_arrays_are_copied_and_nothing_else(tmp_path):
    into = tmp_path / "accepted"
    failed = run(tmp_path / "r1", seed=1, status="failed", reason="NaN")
    unfinished = run(tmp_path / "r2", seed=2, status="unfinished", reason="2 of 4 iterations")
    accepted = accept([run(tmp_path / "r0"), failed, unfinished], into)
    assert accepted == [into / "toy" / "a-0badcafe" / f"seed-{seed}" for seed in (0, 1, 2)]
    assert all({path.name for path in folder.iterdir()} == NAMES for folder in accepted)
    assert names(into) == [SUMS, "toy"]
    assert read_arrays(accepted[0], read_record(accepted[0]))["nmse"].tolist() == [0.01] * 4
    assert load(into)["status"].tolist() == ["finished", "failed", "unfinished"]


def damaged(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: damaged(run(p), RECORD, b'{"task": "to'), "is not JSON that we wrote"),
        (lambda p: damaged(run(p), ARRAYS, b"PK"), "is not the file that its record was written with"),
        (lambda p: run(p, git_dirty=True), "made by code that was not committed"),
        (lambda p: p, "has no record.json"),
        (lambda p: run(p, nmse=0.02), "different records of one run"),
    ],
)
def test_one_bad_run_leaves_everything_as_it_was(tmp_path, spoil, says):
    into, good = tmp_path / "accepted", run(tmp_path / "good")
    with pytest.raises(UserError, match=says):
        accept([good, spoil(tmp_path / "bad")], into)
    assert not names(into)
    accept([good], into)
    assert len(files(into)) == 3


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
    assert names(into) == [SUMS, "toy"]


def test_a_newer_config_stands_beside_the_older(tmp_path):
    into = tmp_path / "accepted"
    accept([run(tmp_path / "old")], into)
    accept([run(tmp_path / "new", config_hash="12345678")], into)
    assert load(into)["config_hash"].tolist() == ["0badcafe", "12345678"]


@pytest.mark.parametrize("call", range(8))
def test_a_disk_that_fails_while_copying_leaves_everything_as_it_was(tmp_path, monkeypatch, call):
    into = tmp_path / "accepted"
    accept([run(tmp_path / "first")], into)
    before = files(into)
    runs = [run(tmp_path / "again", nmse=0.02), run(tmp_path / "other", seed=1), run(tmp_path / "last", seed=2)]
    copies, original = [], shutil.copyfile

    def failing(source, target):
        copies.append(target)
        if len(copies) > call:
            raise OSError("no space left on device")
        return original(source, target)

    monkeypatch.setattr(shutil, "copyfile", failing)
    if call < 6:
        with pytest.raises(OSError, match="no space left"):
            accept(runs, into, replace=True)
        assert files(into) == before
        assert not list(into.glob(".accept-part"))
        monkeypatch.undo()
    accept(runs, into, replace=True)
    assert load(into)["nmse"].tolist() == [0.02, 0.01, 0.01]


def kill_at(call: int, runs: list[Path], into: Path) -> bool:
    """Accept in a process that is killed before its rename, move or removal of that number; whether it was."""
    child = os.fork()
    if not child:
        calls = []

        def before(function):
            def replaced(*args, **kwargs):
                calls.append(function)
                if len(calls) == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return replaced

        for name in ("rename", "replace", "unlink", "mkdir"):
            setattr(Path, name, before(getattr(Path, name)))
        accept(runs, into, replace=True)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_kill_at_any_moment_accepts_all_or_nothing(tmp_path):
    runs = [run(tmp_path / "again", nmse=0.02), run(tmp_path / "other", seed=1)]
    call, whole, seen = 1, 0, set()
    while True:
        into = tmp_path / f"accepted-{call}"
        accept([run(tmp_path / f"first-{call}")], into)
        if not kill_at(call, runs, into):
            break
        with contextlib.suppress(UserError):
            verify(into)
            whole += 1
        accept([run(tmp_path / f"later-{call}", seed=7)], into)  # the next one finishes what was final
        verify(into)
        seen.add(tuple(load(into)["nmse"]))
        assert [path.name for path in into.glob(".accept*")] == [".accept-lock"]
        call += 1
    assert seen == {(0.01, 0.01), (0.02, 0.01, 0.01)}
    assert call > 15
    assert 0 < whole < call - 1  # the others were refused until then


def test_three_at_once(tmp_path):
    into = tmp_path / "accepted"
    runs = [
        [run(tmp_path / f"{number}", seed=seed) for seed in range(3 * number, 3 * number + 3)] for number in range(3)
    ]
    children = []
    for mine in runs:
        if not (child := os.fork()):
            accept(mine, into)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert load(into)["seed"].tolist() == list(range(9))
    verify(into)


def test_a_link_in_place_of_the_lock(tmp_path):
    into, other = tmp_path / "accepted", tmp_path / "precious"
    into.mkdir()
    other.write_text("precious")
    (into / ".accept-lock").symlink_to(other)
    with pytest.raises(UserError, match="cannot lock"):
        accept([run(tmp_path / "r")], into)
    assert other.read_text() == "precious"


def test_damaged_accepted_files_are_not_built_upon(tmp_path):
    into = tmp_path / "accepted"
    (folder,) = accept([run(tmp_path / "r")], into)
    (folder / "more.txt").write_text("?")
    with pytest.raises(UserError, match=r"more.txt is not listed .*git checkout"):
        accept([run(tmp_path / "s", seed=1)], into)


def test_an_interrupted_acceptance_is_named_where_files_differ(tmp_path):
    into = tmp_path / "accepted"
    (folder,) = accept([run(tmp_path / "r")], into)
    (folder / RECORD).unlink()
    with pytest.raises(UserError, match=r"record.json is missing .*git checkout"):
        verify(into)
    (into / ".accept-ready").mkdir()
    with pytest.raises(UserError, match=r"record.json is missing .*`repro accept` is finished when it is run again"):
        verify(into)


def test_the_hash_of_the_config_is_checked(tmp_path):
    with pytest.raises(UserError, match="has a config whose hash is 12345678, not 0badcafe"):
        accept([run(tmp_path / "r")], tmp_path / "accepted", hash_of=lambda record: "12345678")


def test_small_weights_are_kept_and_large_ones_are_not(tmp_path, monkeypatch):
    folder = run(tmp_path / "r")
    record, weights = read_record(folder), pack_arrays({"w": np.ones(3)})
    record = dataclasses.replace(record, weights_file_sha256=hashlib.sha256(weights).hexdigest())
    write_record(folder, record, (folder / ARRAYS).read_bytes(), weights)
    (kept,) = accept([folder], tmp_path / "small")
    assert read_weights(kept, read_record(kept))["w"].tolist() == [1, 1, 1]
    monkeypatch.setattr("repro.claims.accept.LARGEST_WEIGHTS", 10)
    (kept,) = accept([folder], tmp_path / "large")
    with pytest.raises(UserError, match="they were not kept"):
        read_weights(kept, read_record(kept))
