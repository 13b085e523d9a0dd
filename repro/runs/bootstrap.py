"""Settings of a process that trains or measures, made before it computes anything."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator

ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # the environment of each of several processes


def use_one_thread() -> None:
    """One thread for torch, unless the user has set OMP_NUM_THREADS."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


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
