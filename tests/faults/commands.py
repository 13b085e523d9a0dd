"""Runs `repro ...` in forked children of a process that has imported torch and the like once.

A fresh interpreter would take 7 s for each command. Nothing of `repro` is imported before the fork, so each child
reads its environment and the code of its checkout as a new process would.
"""

import atexit
import contextlib
import ctypes
import dataclasses
import gc
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

HEAVY = (
    *("torch", "torchaudio", "pytorch_lightning", "pytorch_lightning.loggers", "numba", "numpy", "scipy.stats"),
    *("pandas", "matplotlib.pyplot", "seaborn", "sklearn", "optuna", "optuna.storages.journal", "wandb", "soundfile"),
    *("tomllib", "cffi", "torch._dynamo", "torch.utils.checkpoint"),
)
LIMIT = 60.0  # seconds of computing; no undisturbed command takes a tenth of it
IDLE = 6.0  # seconds in which a process that waits for something looks at least once whether it has come
Hook = Callable[[], None]  # runs in the child before the command


@dataclasses.dataclass(frozen=True)
class Place:
    """Where commands run: `code` is a checkout, `folder` the sandbox that has home, results and a working folder."""

    code: Path
    folder: Path

    @property
    def results(self) -> Path:
        """The results folder (REPRO_RESULTS)."""
        return self.folder / "results"

    def environment(self) -> dict[str, str]:
        """The variables of a command: one thread, no W&B, no licensed data, a `git` that reports a clean checkout."""
        return {
            "PATH": f"{self.code / '.bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": str(self.code),
            "REPRO_RESULTS": str(self.results),
            "WANDB_MODE": "disabled",
            "OMP_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
            "MPLCONFIGDIR": str(self.code / ".matplotlib"),
        }


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a command ended: its exit status (negative: the signal), its output, and whether it had to be stopped."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str
    hung: bool = False

    def __str__(self) -> str:
        """The command line."""
        return "repro " + " ".join(self.words)


@dataclasses.dataclass
class Running:
    """A command that runs in a child with its own process group, its output in two files."""

    words: tuple[str, ...]
    pid: int
    folder: Path

    def send(self, number: int) -> None:
        """Send a signal to the command."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_all(self, number: int) -> None:
        """Send a signal to the command and all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, limit: float = LIMIT, leave: bool = False, idle: float | None = None) -> Ending:
        """Wait for the end; stop a command that hangs. What it has started is stopped too, unless `leave`.

        A command hangs that computes for `limit` seconds, lasts ten times as long, or does nothing at all for a while.
        """
        watch, hung = _Watch(self.pid, limit, idle or IDLE), False
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if not hung and watch.hangs():
                hung = True
                self.send_all(signal.SIGKILL)
            time.sleep(0.005)
        if not leave:
            self.send_all(signal.SIGKILL)
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("out", "err"))
        return Ending(self.words, os.waitstatus_to_exitcode(ended[1]), out, err, hung)


class _Watch:
    """Whether a process hangs, on a machine that may be busy: by the seconds that it has computed."""

    def __init__(self, pid: int, limit: float, idle: float) -> None:
        self.pid, self.limit, self.idle = pid, limit, idle
        self.start = self.moved = time.monotonic()
        self.computed = 0.0

    def hangs(self) -> bool:
        now, computed = time.monotonic(), self._computed()
        if computed > self.computed or self._state() not in "SD":
            self.computed, self.moved = computed, now
        return computed > self.limit or now - self.start > 10 * self.limit or now - self.moved > self.idle

    def _computed(self) -> float:
        with contextlib.suppress(OSError):
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9
        return self.computed

    def _state(self) -> str:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "R"


def preload() -> None:
    """Import what is heavy, in this process; no thread may be running when it forks."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("MPLBACKEND", "agg")
    for name in HEAVY:
        importlib.import_module(name)
    numba, numpy = sys.modules["numba"], sys.modules["numpy"]
    numba.njit(lambda x: x + 1)(numpy.zeros(2))  # reads its tables, which takes a second
    gc.freeze()


def start(
    words: Sequence[str], place: Place, hook: Hook | None = None, env: Mapping[str, str | None] | None = None
) -> Running:
    """Fork a child that runs `repro WORDS`. It returns once the child has imported the command line.

    `env` replaces variables of the place's (None removes one).
    """
    number = _count("command")
    folder = place.folder.parent / "output" / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    ready, report = os.pipe()
    variables = {name: value for name, value in {**place.environment(), **(env or {})}.items() if value is not None}
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        os.close(report)
        os.read(ready, 1)
        os.close(ready)
        return Running(tuple(words), pid, folder)
    os.close(ready)
    os.setpgid(0, 0)
    _redirect(folder / "out", folder / "err")
    os.environ.clear()
    os.environ.update(variables)
    with contextlib.suppress(Exception):
        _behave(words, place, hook, report)
    os._exit(99)


def call(
    words: Sequence[str], place: Place, hook: Hook | None = None, env: Mapping[str, str | None] | None = None
) -> Ending:
    """Run `repro WORDS` to its end."""
    return start(words, place, hook, env).wait(idle=100)


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


def _behave(words: Sequence[str], place: Place, hook: Hook | None, report: int) -> None:
    """Be the child: never returns."""
    os.chdir(place.folder / "work")
    sys.path.insert(0, str(place.code))
    sys.path[:] = [path for path in sys.path if path not in ("", os.path.realpath(Path(__file__).parents[2]))]
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    subprocess.Popen = _Forked  # type: ignore[misc]
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
        threading._shutdown()  # type: ignore[attr-defined]
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
_started = dict[str, int]()
child_hooks: list[Callable[[int, Sequence[str]], None]] = []  # run in each `repro` process that a command starts


def _count(what: str) -> int:
    _started[what] = _started.get(what, -1) + 1
    return _started[what]


class _Forked(_Popen):  # type: ignore[type-arg]
    """A Popen that forks where the command is `python -m repro WORDS`, and is the usual one otherwise."""

    def __init__(self, args: Any, *more: Any, **options: Any) -> None:
        words = list(args) if isinstance(args, list | tuple) else []
        self.forked = words[:3] == [sys.executable, "-m", "repro"]
        if not self.forked:
            super().__init__(args, *more, **options)
            return
        self.args, self.returncode, self._sigint_wait_secs = args, None, 0.25
        self.stdin = self.stdout = self.stderr = None
        number = _count("child")
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
        if options.get("stdout") is not None and options["stdout"] != subprocess.PIPE:
            os.dup2(options["stdout"].fileno(), 1)
            os.dup2(1, 2)
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
