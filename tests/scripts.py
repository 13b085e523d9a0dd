"""Runs a script or a module as `python` would, in a process that has torch already: importing it takes seconds."""

import os
import runpy
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it printed."""

    returncode: int | None
    stdout: str
    stderr: str


def run_python(
    processes: ForkServerContext, *words: str, folder: Path, env: Mapping[str, str] = os.environ, timeout: float = 300
) -> Ended:
    """`python SCRIPT ...` or `python -m MODULE ...` in this folder, where the output is kept too."""
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    process = processes.Process(target=become, args=(words, folder, dict(env), out, err))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
    return Ended(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def become(words: tuple[str, ...], folder: Path, env: dict[str, str], out: Path, err: Path) -> None:
    """What the process does."""
    for stream, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    module = words[0] == "-m"
    sys.argv = list(words[module:])
    if module:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")
