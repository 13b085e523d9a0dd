"""A worker: trains one run after the other without importing torch and Lightning again.

`python -m repro.cli.run_worker`, started by `repro reproduce`, `sweep` and `work`.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from repro.jobs.processes import as_one_interrupt
from repro.jobs.run_process import GOES_ON, Order, Orders
from repro.runs.bootstrap import TO_END
from repro.runs.provenance import git_state

RESUME = "stopped; the same command resumes each run where it stopped"
LEAST_MINUTES = 0.001  # with 0 a run would only be recorded


def serve() -> int:
    """Train runs until the process that gives the orders has ended, or until a run leaves our state in doubt.

    Returns the exit status of the process. An exception of a run that the command line does not expect is raised again.
    """
    git_state()  # now: a commit that is checked out later is not that of the code that this process imports
    # Ctrl-C reaches every process of a terminal, and our parent asks us to end as well.
    with as_one_interrupt(signal.SIGINT, *TO_END, message=RESUME) as came:
        try:
            orders = Orders()
            while True:
                status = _train(orders.take(), orders.ask)
                orders.ended(status)
                if status not in GOES_ON or came():
                    return status
        except KeyboardInterrupt:  # between two runs
            return 0


def _train(order: Order, ask: Callable[[int, float], bool]) -> int:
    """The exit status of `repro WORDS`, run in this process."""
    from repro.cli.main import main
    from repro.runs.isolation import isolated

    _write_to(order.log)
    callbacks = []
    if order.pruning:
        from repro.jobs.pruning_callback import PruningCallback

        callbacks = [PruningCallback(order.pruning, ask)]
    with isolated():
        return main([*order.words, *_minutes(order.until)], callbacks)


def _minutes(until: float) -> tuple[str, ...]:
    if math.isinf(until):
        return ()
    return "--minutes", f"{max((until - time.time()) / 60, LEAST_MINUTES):.3f}"


def _write_to(log: Path) -> None:
    """Append all output of this process to a log from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


if __name__ == "__main__":
    sys.exit(serve())
