"""Runs in one file: packed here, taken over there, refused when a byte differs."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from repro.errors import UserError
from repro.records.exchange import MANIFEST, pack, unpack
from repro.records.record import ARRAYS, CHECKPOINT, JOURNAL, LOCK, RECORD, read_arrays, read_record, read_weights
from tests.records.made_up import made_run


@pytest.fixture
def packed(tmp_path: Path) -> tuple[list[Path], Path]:
    """Two runs, and the file that contains them."""
    runs = [made_run(tmp_path / "here", seed=seed) for seed in (0, 1)]
    (runs[0] / CHECKPOINT).write_bytes(b"state of training")
    file = tmp_path / "runs.zip"
    assert pack(runs, file) == ["toy/a-0badcafe/seed-0", "toy/a-0badcafe/seed-1"]
    return runs, file


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_there_and_back(packed: tuple[list[Path], Path], tmp_path: Path) -> None:
    runs, file = packed
    new = unpack(file, tmp_path / "there")
    assert new == [tmp_path / "there" / "toy" / "a-0badcafe" / f"seed-{seed}" for seed in (0, 1)]
    assert [content(folder) for folder in new] == [content(folder) for folder in runs]
    record = read_record(new[1])
    assert read_arrays(new[1], record)["loss"].tolist() == [0.5, 0.25]
    assert np.array_equal(read_weights(new[1], record)["w"], read_weights(runs[1], read_record(runs[1]))["w"])
    assert unpack(file, tmp_path / "there") == []  # again: nothing is new
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["toy"]


def test_equal_runs_give_equal_files(packed: tuple[list[Path], Path], tmp_path: Path) -> None:
    runs, file = packed
    pack(list(reversed(runs)), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()


def test_without_checkpoints(packed: tuple[list[Path], Path], tmp_path: Path) -> None:
    runs, _ = packed
    pack(runs, tmp_path / "small.zip", checkpoints=False)
    new = unpack(tmp_path / "small.zip", tmp_path / "there")
    assert not (new[0] / CHECKPOINT).exists() and (new[0] / RECORD).exists()


def test_an_interrupted_run_is_its_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "toy" / "a-0badcafe" / "seed-0"
    folder.mkdir(parents=True)
    (folder / JOURNAL).write_text("{}\n")
    (folder / CHECKPOINT).write_bytes(b"state of training")
    with pytest.raises(UserError, match="has no record: without its checkpoint there is nothing to pack"):
        pack([folder], tmp_path / "small.zip", checkpoints=False)
    assert not list(tmp_path.glob("small.zip*"))
    assert pack([folder], tmp_path / "whole.zip") == ["toy/a-0badcafe/seed-0"]  # control


def test_every_flipped_byte_is_noticed(packed: tuple[list[Path], Path], tmp_path: Path) -> None:
    """All or nothing: the runs are there, equal, or none is (a flip in a zip's own padding changes no content)."""
    runs, file = packed
    whole, noticed = file.read_bytes(), 0
    step = max(1, len(whole) // 300)
    for place in range(0, len(whole), step):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        file.write_bytes(damaged)
        there = tmp_path / f"there-{place}"
        try:
            new = unpack(file, there)
        except UserError as error:
            noticed += 1
            assert "\n" not in str(error)
            assert not list(there.iterdir())
        else:
            assert [content(folder) for folder in new] == [content(folder) for folder in runs], place
        shutil.rmtree(there)
    assert noticed > 200


def rewritten(file: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """The file with other members, and with the hashes of these in its manifest."""
    import hashlib

    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
    change(members)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps({"schema": 1, "sha256": hashes}))


@pytest.mark.parametrize(
    "name", ["../../evil", "/evil", "toy/a-0badcafe/seed-0/evil.sh", "toy/../a-0badcafe/seed-0/record.json", "x"]
)
def test_names_that_lead_elsewhere(packed: tuple[list[Path], Path], tmp_path: Path, name: str) -> None:
    _, file = packed
    rewritten(file, lambda members: members.update({name: b"evil"}))
    with pytest.raises(UserError, match="is not a file of a run; nothing was imported"):
        unpack(file, tmp_path / "there")
    assert not list((tmp_path / "there").iterdir())


def test_a_record_in_another_runs_place(packed: tuple[list[Path], Path], tmp_path: Path) -> None:
    _, file = packed
    one, two = (f"toy/a-0badcafe/seed-{seed}/{RECORD}" for seed in (0, 1))
    rewritten(file, lambda members: members.update({one: members[two]}))
    with pytest.raises(UserError, match="is the record of another run"):
        unpack(file, tmp_path / "there")
    assert not list((tmp_path / "there").iterdir())


def test_another_state_of_a_run_is_kept(packed: tuple[list[Path], Path], tmp_path: Path) -> None:
    _, file = packed
    there = tmp_path / "there"
    mine = made_run(there, seed=1, loss=(0.5, 0.3))
    before = content(mine)
    with pytest.raises(UserError, match="is another state of a run in .*move it away"):
        unpack(file, there)
    assert content(mine) == before and [path.name for path in there.glob("*/*/*")] == ["seed-1"]


def test_what_cannot_be_packed(packed: tuple[list[Path], Path], tmp_path: Path) -> None:
    import fcntl

    runs, file = packed
    with pytest.raises(UserError, match="exists; -o names a new file"):
        pack(runs, file)
    with pytest.raises(UserError, match="there is no folder"):
        pack(runs, tmp_path / "nowhere" / "f.zip")
    empty = tmp_path / "here" / "toy" / "a-0badcafe" / "seed-5"
    empty.mkdir()
    with pytest.raises(UserError, match="neither a record nor a checkpoint"):
        pack([empty], tmp_path / "f.zip")
    with (runs[0] / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is being trained"):
            pack(runs, tmp_path / "f.zip")
    (runs[0] / ARRAYS).write_bytes(b"?")
    with pytest.raises(UserError, match="is not the file that its record was written with"):
        pack(runs, tmp_path / "f.zip")
    assert not list(tmp_path.glob("f.zip*"))
