"""Whether a process hangs."""

import contextlib
import time
from pathlib import Path


class Watch:
    """Whether a process hangs, on a machine that may be busy: by the seconds that it has computed."""

    def __init__(self, pid: int, limit: float, idle: float) -> None:
        self.pid, self.limit, self.idle = pid, limit, idle
        self.start = self.moved = time.monotonic()
        self.computed = 0.0

    def hangs(self) -> bool:
        """Look at the process."""
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
