"""Ways to damage any file: bytes, lines, and other things in its place. Each has a name and is repeatable."""

import functools
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

LONG = "9" * 400
DEEP = "[" * 100_000


class Damage(NamedTuple):
    """What is done, in words, and the function that does it to a file."""

    about: str
    do: Callable[[Path], None]


def whole_file(seed: str, flips: int = 10) -> Iterator[Damage]:
    """Damage that any file may suffer: bits, ends, and other things in its place."""
    for number in range(flips):
        yield Damage(f"bit flip {number}", flipped(f"{seed} {number}"))
    for share in (0.0, 0.3, 0.7, 0.999):
        yield Damage(f"cut off after {share:.1%}", rewritten(functools.partial(_start, share)))
    yield Damage("a page of zeros in the middle", rewritten(_zeros))
    yield Damage("random bytes", rewritten(lambda data: random.Random(seed).randbytes(len(data))))
    yield Damage("the bytes of UTF-16", rewritten(lambda data: data.decode("latin1").encode("utf-16")))
    yield Damage("twice", rewritten(lambda data: data + data))
    yield Damage("100,000 brackets", rewritten(lambda data: DEEP.encode()))
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


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return rewrite


def _start(share: float, data: bytes) -> bytes:
    return data[: int(share * len(data))]


def flipped(seed: str) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data, chance = bytearray(path.read_bytes()), random.Random(seed)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)

    return flip


def _zeros(data: bytes) -> bytes:
    start = len(data) // 2
    return data[:start] + bytes(min(4096, len(data) - start)) + data[start + 4096 :]


def shown(value: Any) -> str:
    """A value in a few letters."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < 30 else f"{text[:12]}... ({len(text)} letters)"


def line_edits(seed: str) -> Iterator[Damage]:
    """Damage to a file of lines: the last one torn, garbage between them, one gone, one twice."""

    def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
        return rewritten(lambda data: b"".join(change(data.splitlines(keepends=True))))

    yield Damage("the last line torn", rewritten(lambda data: data[:-9]))
    yield Damage("the last line without its end", rewritten(lambda data: data.rstrip(b"\n")))
    yield Damage("a torn line, and whole ones after it", lines(lambda rows: [rows[0], *_torn(rows[1:2]), *rows[2:]]))
    yield Damage("garbage at the end", rewritten(lambda data: data + b"\x00\xff garbage"))
    yield Damage("a line of garbage at the end", rewritten(lambda data: data + b"\x00\xff garbage\n"))
    yield Damage("a line of garbage in the middle", lines(lambda rows: [*rows[:2], b"garbage\n", *rows[2:]]))
    yield Damage("a line of NUL bytes in the middle", lines(lambda rows: [*rows[:2], bytes(64) + b"\n", *rows[2:]]))
    yield Damage("a list in place of a line", lines(lambda rows: [rows[0], b"[1, 2]\n", *rows[2:]]))
    yield Damage("a number in place of a line", lines(lambda rows: [rows[0], b"7\n", *rows[2:]]))
    yield Damage("an empty line in the middle", lines(lambda rows: [*rows[:2], b"\n", *rows[2:]]))
    yield Damage("a line of 100,000 brackets", rewritten(lambda data: data + DEEP.encode() + b"\n"))
    yield Damage("a line of NaN", rewritten(lambda data: data + b'{"event": NaN, "time": Infinity}\n'))
    yield Damage("the first line gone", lines(lambda rows: rows[1:]))
    yield Damage("a line gone", lines(lambda rows: rows[:1] + rows[2:]))
    yield Damage("a line twice", lines(lambda rows: [*rows[:2], *rows[1:]]))
    yield Damage("lines in reverse", lines(lambda rows: rows[::-1]))
    for number in range(4):
        yield Damage(f"bit flip {number}", flipped(f"{seed} {number}"))
    yield from other_things()


def _torn(rows: list[bytes]) -> list[bytes]:
    return [row[:11] + b"\n" for row in rows]


def copy_over(source: Path, target: Path) -> None:
    """A folder in place of another."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
