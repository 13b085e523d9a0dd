"""Ways to damage the record and the arrays of a run so that they are still JSON and npz."""

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults import damage
from tests.faults.damage import Damage

OTHER_HASH = "0123456789abcdef" * 4


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
RAW = ("NaN", "Infinity", "-Infinity", "1e999", damage.LONG, f"0.{damage.LONG}", "[" * 5000 + "]" * 5000)


def record_edits(few: bool = False) -> Iterator[Damage]:
    """Damage to a record that is still text: keys, types, numbers, identities."""
    for key, values in OTHERS.items():
        for number, value in enumerate(values[: 2 if few else None]):
            words = "another value" if callable(value) else damage.shown(value)
            yield Damage(f"{key} = {words} ({number})", put(key, value))
    for key in ("metrics.nmse", "seed")[: 1 if few else None]:
        for text in RAW:
            yield Damage(f"{key} = {damage.shown(text)}", raw(key, text))
    for key in KEYS[:: 4 if few else 1]:
        yield Damage(f"without {key}", edited(functools.partial(_without, key)))
    for key in KEYS[:: 9 if few else 4]:
        yield Damage(f"{key} is called {key}_", edited(functools.partial(_renamed, key)))
    yield Damage("an absolute path as task", lambda path: put("task", str(path.parents[5] / "work" / "outside"))(path))
    yield Damage("a key more", edited(lambda data: data.update(more=1)))
    yield Damage("a metric more", edited(lambda data: data["metrics"].update(luck=0.5)))
    for key, text in (("seed", "4"), ("status", '"finished"'), ("schema", "1")):
        yield Damage(f"{key} twice", _first_line(f' "{key}": {text},'))
    yield Damage("a list in place of the object", damage.rewritten(lambda data: b"[1]\n"))
    yield Damage("other spaces", _spaces)


def _without(key: str, data: dict[str, Any]) -> None:
    data.pop(key)


def _renamed(key: str, data: dict[str, Any]) -> None:
    data[f"{key}_"] = data.pop(key)


def _first_line(line: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        first, *rest = path.read_text().split("\n")
        path.write_text("\n".join([first, line, *rest]))

    return change


def _spaces(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=7))


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
