"""The link between a worker and the process that gives its orders."""

import os
import signal
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext


def wait_for_an_answer(link: Connection) -> None:
    """A worker in training, where SIGTERM is only noted; exits with 7 where it continues after its question."""
    from repro.jobs.run_process import Orders

    signal.signal(signal.SIGTERM, lambda *_: None)
    os.dup2(link.fileno(), 0)
    link.close()
    os._exit(8 if Orders().ask(1, 0.5) else 7)


def test_a_worker_that_waits_for_an_answer_continues_when_the_other_side_has_ended(
    processes: ForkServerContext,
) -> None:
    ours, theirs = Pipe()
    worker = processes.Process(target=wait_for_an_answer, args=(theirs,))
    worker.start()
    theirs.close()
    assert ours.recv() == (1, 0.5)
    assert worker.is_alive()
    ours.close()
    until = time.monotonic() + 60
    while worker.is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    alive = worker.is_alive()
    worker.kill()
    worker.join()
    assert not alive and worker.exitcode == 7
