"""Settings of a process that trains or measures, made before it computes anything."""

import contextlib
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator

from repro.errors import UserError
from repro.runs.task import Task
from repro.text import count

TO_END = (signal.SIGTERM, signal.SIGUSR1)  # what asks a process to end: Slurm sends either before a time limit
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # the environment of each of several processes


def check_possible(task: Task, device: str, minutes: float | None) -> None:
    """Raises UserError for a device that is not here, and for what a task that trains nothing cannot do."""
    if device == "cuda":
        if task.measure:
            raise UserError(f"--device cuda: {task.name} is measured on the CPU; leave --device out")
        import torch

        if not torch.cuda.is_available():
            raise UserError("--device cuda: torch finds no GPU here; use --device cpu")
    if minutes is not None and task.measure:
        raise UserError(f"--minutes {minutes:g}: {task.name} cannot be interrupted and resumed; leave --minutes out")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_one_thread() -> None:
    """One thread for torch, unless the user has set OMP_NUM_THREADS; a warning where that is more than our cores."""
    import torch

    wanted = os.environ.get("OMP_NUM_THREADS")
    if wanted is None:
        torch.set_num_threads(1)
    elif (threads := re.match(r"[0-9]{1,9}", wanted)) and int(threads[0]) > cores():
        print(
            f"warning: OMP_NUM_THREADS={wanted} on {count(cores(), 'core')} can make training many times slower; "
            "set it to 1",
            file=sys.stderr,
        )


@contextlib.contextmanager
def hidden_gpus(device: str) -> Iterator[None]:
    """While a run trains on the "cpu", no GPU is visible to torch.

    Its optimizers ask in every step whether there is one. Where one may be visible, torch loads a driver's library for
    the answer each time, which takes up to a tenth of an iteration of task 1.1.
    """
    name, before = "CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES")
    if device == "cpu":
        os.environ[name] = ""
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def prepare_training() -> None:
    """One thread, no denormal numbers, freed memory kept, none of Lightning's hints on devices, workers and Slurm."""
    import torch

    from repro.eprop.kernels.malloc import keep_freed_memory

    use_one_thread()
    torch.set_flush_denormal(True)
    keep_freed_memory()
    for package in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(package).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", module=package)
    warnings.filterwarnings("ignore", message=".*(does not have many workers|isinstance.treespec).*")
