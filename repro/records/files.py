"""Files that are read without trust, and written whole or not at all."""

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from repro.errors import UserError

LARGEST = 1 << 30  # bytes of a file that is read at once


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a regular file. Raises UserError, naming it, when it is missing, is no file, or is too large."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # not to wait for a pipe's writer
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise UserError(f"{path} should be a file, and is something else; move it away")
            if about.st_size > largest:
                raise UserError(f"{path} has {about.st_size} bytes, more than {largest}: it is not ours; move it away")
            return file.read()
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except IsADirectoryError:
        raise UserError(f"{path} should be a file, and is a folder; move it away") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def read_text(path: Path) -> str:
    """The text of a regular file. Raises UserError as `read_bytes` does, and when it is not UTF-8."""
    return decoded(read_bytes(path), path)


def decoded(data: bytes, path: Path, encoding: str = "utf-8") -> str:
    """The text that the content of a file is. Raises UserError, naming the file, when it is not UTF-8."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: byte {error.start} is {data[error.start]:#x}") from None


def read_json(path: Path, largest: int = 1 << 26) -> Any:
    """The content of a JSON file.

    Raises UserError when it cannot be read, is not strict JSON in UTF-8 (NaN and Infinity are not), has a key twice in
    one object, or is nested too deep.
    """
    text = read_bytes(path, largest)
    try:
        return json.loads(text.decode(), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise UserError(f"{path} is not JSON that we wrote ({str(error)[:100]}); move it away") from None


def read_toml(path: Path, largest: int = 1 << 22) -> dict[str, Any]:
    """The content of a TOML file. Raises UserError when it cannot be read, or is not TOML in UTF-8."""
    try:
        return tomllib.loads(read_bytes(path, largest).decode())
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)[:200].replace("\n", " ")
        raise UserError(f"{path} is not a TOML file: {why}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key occurs twice")
    return data


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises UserError when something that is no file has its name."""
    write_part(path, data).replace(path)


def write_part(path: Path, data: bytes) -> Path:
    """Write what is to become a file beside it, so that renaming it is all that is left to do; return that place."""
    part = path.parent / f"{path.name}.part"
    for there in (path, part):
        if there.is_dir() and not there.is_symlink():
            raise UserError(f"cannot write {there}: it is a folder; move it away")
    part.unlink(missing_ok=True)  # a link that lies there is not followed
    with part.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return part
