"""What a forked child does: it becomes `repro WORDS`, and so do the processes that this command starts."""

import atexit
import contextlib
import ctypes
import importlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Hook = Callable[[], None]  # runs in the child before the command
ChildHook = Callable[[int, Sequence[str]], None]
child_hooks: list[ChildHook] = []  # run in each `repro` process that the command starts, with its number and words


def without_privileges() -> None:
    """Take from root what lets it read and write any file (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    for index in (0, 1):
        data[index] &= ~0b110
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


def become(words: Sequence[str], code: Path, work: Path, outputs: Path, hook: Hook | None, report: int) -> None:
    """Run `repro WORDS` of a checkout in a folder, outputs to two files; never returns.

    Something is written to `report` when the command line has been imported.
    """
    os.setpgid(0, 0)
    _redirect(outputs / "out", outputs / "err")
    os.chdir(work)
    sys.path.insert(0, str(code))
    sys.path[:] = [path for path in sys.path if path not in ("", os.path.realpath(Path(__file__).parents[2]))]
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    setattr(subprocess, "Popen", _Forked)  # noqa: B010  a type cannot be assigned to
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _finish(words, hook, report)


def _finish(words: Sequence[str], hook: Hook | None, report: int | None) -> None:
    status = 1
    try:
        main = importlib.import_module("repro.cli.main").main
        sys.argv = ["repro", *words]
        if report is not None:
            os.close(report)
        if hook:
            hook()
        status = main(list(words))
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(BaseException):
        threading._shutdown()
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status & 0xFF)


def _redirect(out: Path, err: Path) -> None:
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, err, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        file = os.open(path, flags, 0o644)
        os.dup2(file, number)
        os.close(file)


_Popen = subprocess.Popen
_started = 0


class _Forked(_Popen):
    """A Popen that forks where the command is `python -m repro WORDS`, and is the usual one otherwise."""

    def __init__(self, args: Any, *more: Any, **options: Any) -> None:
        words = list(args) if isinstance(args, list | tuple) else []
        self.forked = words[:3] == [sys.executable, "-m", "repro"]
        if not self.forked:
            super().__init__(args, *more, **options)
            return
        self.args, self.returncode, self._sigint_wait_secs = args, None, 0.25
        self.stdin = self.stdout = self.stderr = None
        global _started
        number, _started = _started, _started + 1
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._be(words[3:], number, options)

    def _be(self, words: list[str], number: int, options: Mapping[str, Any]) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if options.get("env"):
            os.environ.clear()
            os.environ.update(options["env"])
        os.dup2(options["stdin"] if options.get("stdin", -1) >= 0 else os.open(os.devnull, os.O_RDONLY), 0)
        if options.get("stdout") is not None and options["stdout"] != subprocess.PIPE:
            os.dup2(options["stdout"].fileno(), 1)
            os.dup2(1, 2)
        os.closerange(3, 1 << 16)  # as Popen does
        _finish(words, lambda: [hook(number, words) for hook in child_hooks] and None, None)

    def poll(self) -> int | None:
        """As of Popen."""
        if not self.forked:
            return super().poll()
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """As of Popen."""
        if not self.forked:
            return super().wait(timeout)
        end = time.monotonic() + (timeout if timeout is not None else 1e9)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(0.01)
        return int(self.returncode or 0)

    def send_signal(self, sig: int) -> None:
        """As of Popen."""
        if not self.forked:
            super().send_signal(sig)
        elif self.poll() is None:
            os.kill(self.pid, sig)

    def __del__(self, **options: Any) -> None:
        if not self.forked:
            super().__del__()
