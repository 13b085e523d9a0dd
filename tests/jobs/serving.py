"""What a pool does with a queue, in one thread and without processes: runs take no time."""

import functools
import time
from collections.abc import Callable, Mapping

from repro.errors import RunFailed, RunPruned
from repro.jobs.job import Job, TakenOver
from repro.jobs.queue import Queue

Report = Callable[[int, float], bool]
Objective = Callable[[Job, Report], Mapping[str, float]]  # raises RunFailed, RunPruned


def serve(queue: Queue, objective: Objective) -> None:
    """Do jobs until all are done, whoever does the others."""
    while not queue.is_done():
        queue.reap()
        queue.fill()
        attempt = queue.take()
        if attempt is None:
            time.sleep(queue.timing.poll)
            continue
        try:
            metrics = objective(attempt.job, functools.partial(queue.report, attempt))
            queue.finish(attempt, metrics)
        except RunPruned:
            queue.prune(attempt)
        except RunFailed as error:
            queue.lose(attempt, str(error))
        except TakenOver:
            continue
