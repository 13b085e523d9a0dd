"""Runs `repro ...` in forked children of a process that has imported torch and the like once.

A fresh interpreter would take 7 s for each command. Nothing of `repro` is imported before the fork, so each child
reads its environment and the code of its checkout as a new process would.
"""

import contextlib
import dataclasses
import gc
import importlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.forked import Hook, become
from tests.faults.watch import Watch

HEAVY = (
    *("torch", "torchaudio", "pytorch_lightning", "pytorch_lightning.loggers", "numba", "numpy", "scipy.stats"),
    *("pandas", "matplotlib.pyplot", "seaborn", "sklearn", "optuna", "optuna.storages.journal", "wandb", "soundfile"),
    *("tomllib", "cffi", "torch._dynamo", "torch.utils.checkpoint"),
)
LIMIT = 60.0  # seconds of computing; no undisturbed command takes a tenth of it
IDLE = 6.0  # seconds in which a process that waits for something looks at least once whether it has come
_numbers = itertools.count()


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

    def wait(self, limit: float = LIMIT, leave: bool = False, idle: float = IDLE) -> Ending:
        """Wait for the end; stop a command that hangs. What it has started is stopped too, unless `leave`.

        A command hangs that computes for `limit` seconds, lasts ten times as long, or does nothing at all for a while.
        """
        watch, hung = Watch(self.pid, limit, idle), False
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if not hung and watch.hangs():
                hung = True
                self.send_all(signal.SIGKILL)
            time.sleep(0.005)
        if not leave:
            self.send_all(signal.SIGKILL)
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("out", "err"))
        return Ending(self.words, os.waitstatus_to_exitcode(ended[1]), out, err, hung)


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
    folder = place.folder.parent / "output" / str(next(_numbers))
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
    os.environ.clear()
    os.environ.update(variables)
    with contextlib.suppress(Exception):
        become(words, place.code, place.folder / "work", folder, hook, report)
    os._exit(99)


def call(
    words: Sequence[str], place: Place, hook: Hook | None = None, env: Mapping[str, str | None] | None = None
) -> Ending:
    """Run `repro WORDS` to its end."""
    return start(words, place, hook, env).wait(idle=100)
