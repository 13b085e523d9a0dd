"""Settings of a process that trains or measures, made before it computes anything."""

import logging
import os
import warnings

ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # the environment of each of several processes


def use_one_thread() -> None:
    """One thread for torch, unless the user has set OMP_NUM_THREADS."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


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
