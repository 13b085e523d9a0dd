"""How far a run is: a small file that training rewrites every few seconds, for `repro runs`. No evidence: no hash."""

import dataclasses
import json
import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.records.files import read_json

PROGRESS = "progress.json"
EVERY_SECONDS = 2.0
SILENCE_SECONDS = 120.0  # without news from another machine for so long, its run is taken for interrupted


@dataclasses.dataclass(frozen=True)
class Progress:
    """Iterations done of all, the latest metrics, the seconds left (nan: not known yet), and the process that wrote
    this at `time` (s)."""

    iteration: int
    iterations: int
    metrics: Mapping[str, float]
    seconds_left: float
    host: str
    pid: int
    time: float

    def is_alive(self) -> bool:
        """Whether the process that wrote this seems to run still: the file is fresh, with ten iterations' allowance,
        and on this machine the process exists."""
        left = self.iterations - self.iteration
        slow = 10 * self.seconds_left / left if left > 0 and math.isfinite(self.seconds_left) else 0
        fresh = abs(time.time() - self.time) < SILENCE_SECONDS + slow
        return fresh and (self.host != socket.gethostname() or process_exists(self.pid))


def write_progress(folder: Path, iteration: int, iterations: int, metrics: Mapping[str, float], left: float) -> None:
    """Rewrite the file, whole or not at all. A failure is silent: progress is a courtesy."""
    known = {name: value for name, value in metrics.items() if math.isfinite(value)}
    data = Progress(iteration, iterations, known, left, socket.gethostname(), os.getpid(), time.time())
    rows = dataclasses.asdict(data) | {"seconds_left": left if math.isfinite(left) else None}
    part = folder / f"{PROGRESS}.{os.getpid()}.part"
    try:
        part.write_text(json.dumps(rows))
        part.replace(folder / PROGRESS)
    except OSError:
        return


def read_progress(folder: Path) -> Progress | None:
    """The progress of a run; None where there is none. Raises UserError when the file is damaged."""
    path = folder / PROGRESS
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return _checked(read_json(path, 100_000))
    except (ValueError, TypeError, KeyError, OverflowError):
        raise UserError(f"{path} is not one that we wrote; remove it") from None


def _checked(data: Any) -> Progress:
    """Raises KeyError, TypeError or ValueError."""
    metrics = {str(name): float(value) for name, value in dict(data["metrics"]).items()}
    numbers = [data[key] for key in ("iteration", "iterations", "pid")]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or not isinstance(data["host"], str):
        raise ValueError
    done, iterations, pid = numbers
    left = math.nan if data["seconds_left"] is None else float(data["seconds_left"])
    return Progress(done, iterations, metrics, left, data["host"], pid, float(data["time"]))


def process_exists(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return pid > 0
