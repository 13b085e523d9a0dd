"""What goes wrong with the machine: hooks in the command's process, and changes of the sandbox around it."""

import datetime
import errno
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.forked import without_privileges
from tests.faults.sandbox import Bench
from tests.faults.tripwire import watch

YEARS = 365.25 * 86400


def no_space(share: float, results: Path, operations: int) -> None:
    full = False

    def step(count: int, path: str) -> None:
        nonlocal full
        full = full or count > share * operations
        if full and (path.endswith(".part") or not os.path.exists(path)):
            raise OSError(errno.ENOSPC, "No space left on device", path)

    watch(results, step)
    real = os.write
    os.write = lambda file, data: refuse() if full and file > 2 else real(file, data)


def refuse() -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def small_files(size: int, results: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def deletes(share: float, results: Path, operations: int) -> None:
    def step(count: int, path: str) -> None:
        if count == 1 + int(share * operations):
            for folder in results.glob("runs/*/*/seed-0"):
                shutil.rmtree(folder)

    watch(results, step)


def jump(years: float, share: float, results: Path, operations: int) -> None:
    real, jumped = time.time, False

    def step(count: int, path: str) -> None:
        nonlocal jumped
        jumped = jumped or count > share * operations

    watch(results, step)
    time.time = lambda: real() + years * YEARS * (jumped or share == 0)

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.datetime.fromtimestamp(max(time.time(), 0.0), tz)

    datetime.datetime = Later  # type: ignore[misc]


def memory(megabytes: int, results: Path) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 1_000_000, -1))


def closed(streams: tuple[int, ...], results: Path) -> None:
    for number in streams:
        os.close(number)
        setattr(sys, {1: "stdout", 2: "stderr"}[number], None)  # as Python does where it starts without a stream


def full(results: Path) -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def broken(results: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def no_folder(results: Path) -> None:
    shutil.rmtree(Path.cwd())


def unprivileged(results: Path) -> None:
    without_privileges()


def mode(name: str, mode: int) -> Callable[[Bench], None]:
    def change(bench: Bench) -> None:
        top = bench.place.folder / name
        for path in (top, *(p for p in top.rglob("*") if p.is_dir())):
            path.chmod(mode)

    return change


def code_mode(mode: int) -> Callable[[Bench], None]:
    def change(bench: Bench) -> None:
        for path in (bench.code, *(p for p in bench.code.rglob("*") if p.is_dir())):
            path.chmod(mode)

    return change


def linked(bench: Bench) -> None:
    results = bench.place.results
    results.rename(results.with_name("elsewhere"))
    results.symlink_to("elsewhere")


def file(bench: Bench) -> None:
    results = bench.place.results
    results.rename(results.with_name("elsewhere"))
    results.write_text("a file\n")


def no_file(bench: Bench) -> None:
    results = bench.place.results
    if results.is_file():
        results.unlink()
        results.with_name("elsewhere").rename(results)


def netrc(bench: Bench) -> None:
    (bench.place.folder / "home" / ".netrc").write_text("machine machine login \0 \xff\n{")


def working_folder(bench: Bench) -> None:
    """Make the folder again that commands are started in."""
    (bench.place.folder / "work").mkdir(exist_ok=True)
