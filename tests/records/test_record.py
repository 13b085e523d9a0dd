"""A record that was damaged, moved or forged is refused in one sentence; one that was not is read."""

import contextlib
import copy
import hashlib
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.errors import UserError
from repro.records.arrays import pack_arrays, unpack_arrays
from repro.records.files import read_json, write_atomically
from repro.records.record import ARRAYS, RECORD, WEIGHTS, read_arrays, read_record, read_weights, record_hash
from tests.records.made_up import made_run


def refusal(folder: Path) -> str:
    """The sentence with which a record is refused."""
    with pytest.raises(UserError) as caught:
        read_record(folder)
    text = str(caught.value)
    assert str(folder) in text and "\n" not in text and len(text) < 600
    return text


def data_of(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / RECORD).read_text())
    return data


def forge(folder: Path, **changes: Any) -> None:
    """Change a record and give it the hash that it should then carry."""
    data = data_of(folder) | changes
    with contextlib.suppress(ValueError):
        data["record_sha256"] = record_hash(data)
    (folder / RECORD).write_text(json.dumps(data))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = made_run(tmp_path, seed=3)
    record = read_record(folder)
    assert (record.task, record.variant, record.seed, record.metrics) == ("toy", "a", 3, {"loss": 0.25})
    assert record.config == {"learning_rate": 0.1, "iterations": 2}
    assert len(record.record_sha256) == 64


def test_the_hash_is_of_the_canonical_form(tmp_path: Path) -> None:
    """Written out here: keys sorted, no blanks; another layout of the file is the same record."""
    folder = made_run(tmp_path)
    data = data_of(folder)
    stated = data.pop("record_sha256")
    assert hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest() == stated
    (folder / RECORD).write_text(json.dumps(data | {"record_sha256": stated}, indent=7))
    read_record(folder)


def every_change(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The record with one value changed, for each value in it."""
    changed = []

    def visit(value: Any, path: list[Any]) -> None:
        if isinstance(value, dict):
            for key in value:
                visit(value[key], [*path, key])
        elif isinstance(value, list):
            for index in range(len(value)):
                visit(value[index], [*path, index])
        else:
            new = copy.deepcopy(data)
            place = new
            for key in path[:-1]:
                place = place[key]
            is_text = isinstance(value, str)
            place[path[-1]] = not value if isinstance(value, bool) else value + ("0" if is_text else 1)
            changed.append(new)

    visit(data, [])
    return changed


def test_every_changed_value_is_noticed(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    changes = every_change(data_of(folder))
    assert len(changes) > 20
    for data in changes:
        (folder / RECORD).write_text(json.dumps(data))
        refusal(folder)


def test_every_key_counts(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    data = data_of(folder)
    for key in data:
        (folder / RECORD).write_text(json.dumps({name: value for name, value in data.items() if name != key}))
        refusal(folder)
    forge(folder, more=1)
    assert "more" in refusal(folder)


WRONG: dict[str, list[Any]] = {
    "task": ["../../x", "a/b", "", "x\x00", "A", 3, None, ["toy"]],
    "variant": ["..", "a-b", "a" * 101, True],
    "seed": [-1, 2**31, 1.0, "0", True, None, 10**400],
    "config_hash": ["0BADCAFE", "0badcaf", "../../..", 12345678],
    "status": ["running", "", None],
    "metrics": [{"loss": "0.1"}, {"loss": None}, {"": 1.0}, [], {"loss": 10**400}, {"l\n": 1.0}],
    "config": [{"a": None}, {"a": [1]}, {"a": {"b": 1}}, [], "x"],
    "arrays_sha256": ["", "0" * 63, "z" * 64, None],
    "wall_s": [-1.0, "1", None],
    "threads": [0, 1.5, True],
    "started": ["yesterday", "", 5],
    "device": ["tpu", "", None],
    "parts": [{}, [1], [{"wall_s": 1.0}], None],
    "schema": [0, 3, "2", 2.5, None, [2], True],
    "weights_version": [2],
    "extras": [{"peak_memory_mb": None}],
    "git_commit": ["HEAD"],
}
FORGED = [{key: value} for key, values in WRONG.items() for value in values]


@pytest.mark.parametrize("changes", FORGED, ids=[str(changes)[:40] for changes in FORGED])
def test_a_wrong_type_or_range_is_refused_whatever_the_hash(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = made_run(tmp_path)
    forge(folder, **changes)
    refusal(folder)


def test_control_a_forged_record_of_right_types_is_read(tmp_path: Path) -> None:
    """The hash protects against accidents, not against people."""
    folder = made_run(tmp_path)
    forge(folder, metrics={"loss": 0.125})
    assert read_record(folder).metrics["loss"] == 0.125


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{",
            "[]",
            "null",
            "3",
            '"x"',
            "\x00" * 100,
            "[" * 100_000,
            '{"a":' * 100_000,
            '{"schema": ' + "9" * 5000,
        ),
        *('{"schema": 2, "schema": 2}', '{"schema": 2, "seed": NaN}', '{"schema": Infinity}', '{"schema": 1e999}'),
    ],
)
def test_what_is_no_record_at_all(tmp_path: Path, text: str) -> None:
    folder = made_run(tmp_path)
    (folder / RECORD).write_text(text)
    refusal(folder)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    (folder / RECORD).write_bytes(b"\xff\xfe{}")
    refusal(folder)


def test_a_record_of_the_first_schema_names_the_remedy(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    (folder / RECORD).write_text(json.dumps(data_of(folder) | {"schema": 1}))
    assert "repro migrate" in refusal(folder)


@pytest.mark.parametrize(
    "place", ["toy/a-0badcafe/seed-1", "toy/b-0badcafe/seed-0", "toy/a-12345678/seed-0", "x/a-0badcafe/seed-0"]
)
def test_a_record_in_another_runs_folder(tmp_path: Path, place: str) -> None:
    folder, other = made_run(tmp_path), tmp_path / place
    other.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(other)
    assert "is the record of another run, toy/a-0badcafe/seed-0" in refusal(other)


def test_the_current_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made_run(tmp_path))
    assert read_record(Path()).task == "toy"


def test_things_that_are_no_files(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    (folder / RECORD).unlink()
    assert "is missing" in refusal(folder)
    (folder / RECORD).mkdir()
    refusal(folder)
    (folder / RECORD).rmdir()
    os.mkfifo(folder / RECORD)
    assert "should be a file" in refusal(folder)
    (folder / RECORD).unlink()
    (folder / RECORD).symlink_to(tmp_path / "nowhere")
    assert "is missing" in refusal(folder)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="bytes, more than"):
        read_json(path)


def test_every_flipped_bit_of_arrays_and_weights_is_noticed(tmp_path: Path) -> None:
    folder, chance = made_run(tmp_path), random.Random(5)
    record = read_record(folder)
    for name, read in ((ARRAYS, read_arrays), (WEIGHTS, read_weights)):
        whole = (folder / name).read_bytes()
        for _ in range(100):
            damaged = bytearray(whole)
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            (folder / name).write_bytes(damaged)
            with pytest.raises(UserError, match="is not the file that its record was written with"):
                read(folder, record)
        (folder / name).write_bytes(whole)
        assert read(folder, record)  # control


def npz(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def header(shape: str, descr: str = "'<f8'", order: str = "False") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    text += " " * (64 - (10 + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}, []], dtype=object), allow_pickle=True)
    return buffer.getvalue()


BAD_ARRAYS: dict[str, Callable[[], bytes]] = {
    "no zip": lambda: b"PK",
    "empty": lambda: b"",
    "no array": lambda: npz(x=b"text"),
    "objects": lambda: npz(x=objects()),
    "8 TB": lambda: npz(x=header("(1099511627776,)") + b"\0" * 64),
    "too short": lambda: npz(x=header("(3,)") + b"\0" * 8),
    "too long": lambda: npz(x=header("(3,)") + b"\0" * 80),
    "negative": lambda: npz(x=header("(-3, -1)") + b"\0" * 24),
    "code": lambda: npz(x=header("(__import__('os').getpid(),)")),
    "nested": lambda: npz(x=header("(" * 900 + ")" * 900)),
    "another version": lambda: npz(x=b"\x93NUMPY\x09\x00" + header("(1,)")[8:] + b"\0" * 8),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_give_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not a file of arrays that we wrote") as caught:
        unpack_arrays(BAD_ARRAYS[name](), tmp_path / ARRAYS)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_arrays_there_and_back() -> None:
    arrays = {
        "series": np.linspace(0, 1, 7, dtype=np.float32),
        "nothing": np.zeros((0, 3)),
        "single": np.array(2.5),
        "words": np.array(["a", "bcd"]),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "bits": np.array([True, False]),
    }
    back = unpack_arrays(pack_arrays(arrays), Path("x"))
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype and np.array_equal(back[name], array)
        back[name][...] = back[name]  # may be written to
    assert pack_arrays(arrays) == pack_arrays(dict(reversed(arrays.items())))


def test_a_folder_or_a_link_where_a_part_is_written(tmp_path: Path) -> None:
    path, precious = tmp_path / "file", tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "file.part").symlink_to(precious)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and precious.read_text() == "precious"
    (tmp_path / "file.part").mkdir()
    with pytest.raises(UserError, match=r"file.part: it is a folder"):
        write_atomically(path, b"newer")
    assert path.read_bytes() == b"new"
