"""Ways to damage a file: bytes, JSON, arrays, and what stands in place of a file. Each has a name and is repeatable."""

import hashlib
import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LONG = "9" * 400
DEEP = "[" * 100_000
OTHER_HASH = "0123456789abcdef" * 4


class Damage(NamedTuple):
    """What is done, in words, and the function that does it to a file."""

    about: str
    do: Callable[[Path], None]


def whole_file(seed: str, flips: int = 10) -> Iterator[Damage]:
    """Damage that any file may suffer: bits, ends, and other things in its place."""
    for number in range(flips):
        yield Damage(f"bit flip {number}", _flip(f"{seed} {number}"))
    for share in (0.0, 0.3, 0.7, 0.999):
        yield Damage(f"cut off after {share:.1%}", _rewrite(lambda data, share=share: data[: int(share * len(data))]))
    yield Damage("a page of zeros in the middle", _rewrite(_zeros))
    yield Damage("random bytes", _rewrite(lambda data: random.Random(seed).randbytes(len(data))))
    yield Damage("the bytes of UTF-16", _rewrite(lambda data: data.decode("latin1").encode("utf-16")))
    yield Damage("twice", _rewrite(lambda data: data + data))
    yield Damage("100,000 brackets", _rewrite(lambda data: DEEP.encode()))
    yield from other_things()


def other_things() -> Iterator[Damage]:
    """A folder, a link or a pipe in place of a file."""
    yield Damage("a folder in its place", lambda path: _instead(path, path.mkdir))
    yield Damage("a link to itself", lambda path: _instead(path, lambda: path.symlink_to(path.name)))
    yield Damage("a link to nothing", lambda path: _instead(path, lambda: path.symlink_to("nothing-here")))
    yield Damage("a pipe in its place", lambda path: _instead(path, lambda: os.mkfifo(path)))


def _instead(path: Path, make: Callable[[], None]) -> None:
    path.unlink(missing_ok=True)
    make()


def _rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def _flip(seed: str) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data, chance = bytearray(path.read_bytes()), random.Random(seed)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)

    return flip


def _zeros(data: bytes) -> bytes:
    start = len(data) // 2
    return data[:start] + bytes(min(4096, len(data) - start)) + data[start + 4096 :]


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change the object of a JSON file."""

    def edit(path: Path) -> None:
        data = json.loads(path.read_bytes())
        change(data)
        path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")

    return edit


def put(key: str, value: Any) -> Callable[[Path], None]:
    """Set a key of a JSON file ("a.b": key b of the object a)."""

    def change(data: dict[str, Any]) -> None:
        *outer, last = key.split(".")
        for name in outer:
            data = data[name]
        data[last] = value(data[last]) if callable(value) else value

    return edited(change)


def raw(key: str, text: str) -> Callable[[Path], None]:
    """Set a key of a JSON file to a text that is perhaps no JSON."""

    def change(path: Path) -> None:
        put(key, "@@@")(path)
        path.write_text(path.read_text().replace('"@@@"', text))

    return change


KEYS = (
    *("task", "variant", "profile", "seed", "config", "config_hash", "status", "reason", "metrics", "arrays_sha256"),
    *("weights_sha256", "git_commit", "git_dirty", "versions", "device", "threads", "started", "wall_s", "schema"),
)
OTHERS: dict[str, tuple[Any, ...]] = {  # key -> other values of the right type, and values of the wrong one
    "task": ("store_recall", "no_such_task", "../../outside", "", 7),
    "variant": ("bptt", "../../../outside", "..", "a/b", None),
    "profile": ("smoke", "../x", 3),
    "seed": (4, -1, 10**30, 3.5, True, "3", "../..", [3]),
    "config": ({}, [], "x", None),
    "config.learning_rate": (0.006, "0.003", None),
    "config_hash": ("deadbeef", "../../..", "", 12345678),
    "status": ("failed", "unfinished", "done", "", None, 1),
    "reason": ("something else", 5, None),
    "metrics": ({}, [], None, {"nmse": "0.01"}, {"nmse": [0.01]}, {"": 1.0}, {"nmse": True}),
    "metrics.nmse": (lambda value: value * 1.01, 0, -1.0, "low", None, {}),
    "arrays_sha256": (OTHER_HASH, "", 5, None),
    "weights_sha256": (OTHER_HASH, "", 5),
    "git_commit": ("0" * 40, "not a commit", 5),
    "git_dirty": (True, "no", 0),
    "versions": ({}, {"torch": "1.0"}, [], "2.11"),
    "device": ("cuda", "abacus", 0),
    "threads": (64, 0, -3, "one", 1.5),
    "started": ("1999-01-01T00:00:00+00:00", "yesterday"),
    "wall_s": (lambda value: value * 2, -5.0, "long"),
    "schema": (0, 99, "1", None, 1.5),
}
RAW = ("NaN", "Infinity", "-Infinity", "1e999", LONG, f"0.{LONG}", "[" * 5000 + "]" * 5000)


def record_edits(few: bool = False) -> Iterator[Damage]:
    """Damage to a record that is still text: keys, types, numbers, identities."""
    for key, values in OTHERS.items():
        for number, value in enumerate(values[: 2 if few else None]):
            words = "another value" if callable(value) else shown(value)
            yield Damage(f"{key} = {words} ({number})", put(key, value))
    for key in ("metrics.nmse", "seed")[: 1 if few else None]:
        for text in RAW:
            yield Damage(f"{key} = {shown(text)}", raw(key, text))
    for key in KEYS[:: 4 if few else 1]:
        yield Damage(f"without {key}", edited(lambda data, key=key: data.pop(key)))
    for key in KEYS[:: 9 if few else 4]:
        yield Damage(f"{key} is called {key}_", edited(lambda data, key=key: data.update({f"{key}_": data.pop(key)})))
    yield Damage("an absolute path as task", lambda path: put("task", str(path.parents[5] / "work" / "outside"))(path))
    yield Damage("a key more", edited(lambda data: data.update(more=1)))
    yield Damage("a metric more", edited(lambda data: data["metrics"].update(luck=0.5)))
    for key, text in (("seed", "4"), ("status", '"finished"'), ("schema", "1")):
        yield Damage(f"{key} twice", _first_line(f' "{key}": {text},'))
    yield Damage("a list in place of the object", lambda path: path.write_text("[1]\n") and None)
    yield Damage("other spaces", _spaces)


def _first_line(line: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        first, *rest = path.read_text().split("\n")
        path.write_text("\n".join([first, line, *rest]))

    return change


def _spaces(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=7))


def shown(value: Any) -> str:
    """A value in a few letters."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < 30 else f"{text[:12]}... ({len(text)} letters)"


def array_edits() -> Iterator[Damage]:
    """Damage to the arrays of a run that is still an npz, with and without their new hash in the record."""
    changes: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
        "values times 1.01": lambda a: a.update(nmse=a["nmse"] * np.float32(1.01)),
        "NaN in a curve": lambda a: a.update(nmse=np.full_like(a["nmse"], np.nan)),
        "a curve of half the length": lambda a: a.update(nmse=a["nmse"][::2]),
        "a curve of two dimensions": lambda a: a.update(nmse=np.stack([a["nmse"]] * 2)),
        "a curve of letters": lambda a: a.update(nmse=np.array(["x"] * len(a["nmse"]))),
        "objects": lambda a: a.update(nmse=np.array([{"an": "object"}] * 4, dtype=object)),
        "no curve": lambda a: a.pop("nmse"),
        "no arrays at all": lambda a: a.clear(),
    }
    for about, change in changes.items():
        for hashed in (False, True):
            yield Damage(about + _hashed(hashed), _arrays(change, hashed))
    for hashed in (False, True):
        yield Damage(f"a header of 8 TB{_hashed(hashed)}", _huge_header(hashed))
        yield Damage(f"the arrays of another run{_hashed(hashed)}", _of_another(hashed))
    yield Damage("no file", Path.unlink)


def _hashed(hashed: bool) -> str:
    return ", with its hash in the record" if hashed else ""


def _store(path: Path, data: bytes, hashed: bool) -> None:
    path.write_bytes(data)
    if hashed:
        put("arrays_sha256", hashlib.sha256(data).hexdigest())(path.with_name("record.json"))


def _arrays(change: Callable[[dict[str, np.ndarray]], object], hashed: bool) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with np.load(path) as archive:
            arrays = dict(archive)
        change(arrays)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        _store(path, buffer.getvalue(), hashed)

    return edit


def _huge_header(hashed: bool) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        entry = io.BytesIO()
        np.lib.format.write_array_header_1_0(entry, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("nmse.npy", entry.getvalue())
        _store(path, buffer.getvalue(), hashed)

    return edit


def _of_another(hashed: bool) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        other = next(p for p in sorted(path.parents[1].glob("seed-*/arrays.npz")) if p != path)
        _store(path, other.read_bytes(), hashed)

    return edit


def line_edits(seed: str) -> Iterator[Damage]:
    """Damage to a file of lines: the last one torn, garbage between them, one gone, one twice."""

    def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
        return _rewrite(lambda data: b"".join(change(data.splitlines(keepends=True))))

    yield Damage("the last line torn", _rewrite(lambda data: data[:-9]))
    yield Damage("the last line without its end", _rewrite(lambda data: data.rstrip(b"\n")))
    yield Damage("a torn line, and whole ones after it", lines(lambda rows: [rows[0], rows[1][:11] + b"\n", *rows[2:]]))
    yield Damage("garbage at the end", _rewrite(lambda data: data + b"\x00\xff garbage"))
    yield Damage("a line of garbage at the end", _rewrite(lambda data: data + b"\x00\xff garbage\n"))
    yield Damage("a line of garbage in the middle", lines(lambda rows: [*rows[:2], b"garbage\n", *rows[2:]]))
    yield Damage("a line of NUL bytes in the middle", lines(lambda rows: [*rows[:2], bytes(64) + b"\n", *rows[2:]]))
    yield Damage("a list in place of a line", lines(lambda rows: [rows[0], b"[1, 2]\n", *rows[2:]]))
    yield Damage("a number in place of a line", lines(lambda rows: [rows[0], b"7\n", *rows[2:]]))
    yield Damage("an empty line in the middle", lines(lambda rows: [*rows[:2], b"\n", *rows[2:]]))
    yield Damage("a line of 100,000 brackets", _rewrite(lambda data: data + DEEP.encode() + b"\n"))
    yield Damage("a line of NaN", _rewrite(lambda data: data + b'{"event": NaN, "time": Infinity}\n'))
    yield Damage("the first line gone", lines(lambda rows: rows[1:]))
    yield Damage("a line gone", lines(lambda rows: rows[:1] + rows[2:]))
    yield Damage("a line twice", lines(lambda rows: [*rows[:2], *rows[1:]]))
    yield Damage("lines in reverse", lines(lambda rows: rows[::-1]))
    for number in range(4):
        yield Damage(f"bit flip {number}", _flip(f"{seed} {number}"))
    yield from other_things()


def copy_over(source: Path, target: Path) -> None:
    """A folder in place of another."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
