"""Runs one after the other in one process: each begins with the state in which the process was."""

import contextlib
import gc
import os
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro.eprop.kernels.malloc import release_freed_memory

PEAK, FORGET_PEAK = Path("/proc/self/clear_refs"), "5"  # proc(5)


def _flushes_denormals() -> bool:
    """Whether this thread takes the smallest double for zero. It is made of bits: Python reads 1e-310 as zero then."""
    smallest = torch.ones(1, dtype=torch.int64).view(torch.float64)
    return not smallest.mul(1).view(torch.int64).item()


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _set_environment(values: Mapping[str, str]) -> None:
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


# What a run may leave behind and the results of the next one may depend on: how it is read, and how it is set.
STATE: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
    (torch.get_rng_state, torch.set_rng_state),
    (torch.get_default_device, _set_default_device),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (_flushes_denormals, torch.set_flush_denormal),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (os.getcwd, os.chdir),
    (lambda: dict(os.environ), _set_environment),
)


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Put the state of the process back at the end of the block, and free its memory.

    The state is `STATE` and the filters of warnings. The peak memory of the process is counted from the block on.
    """
    before = [(put_back, read()) for read, put_back in STATE]
    gc.freeze()  # so that the collection at the end passes over the block's objects alone
    with contextlib.suppress(OSError):  # only Linux has it
        PEAK.write_text(FORGET_PEAK)
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for put_back, value in before:
            put_back(value)
        gc.collect()  # a Trainer and its callbacks refer to each other
        release_freed_memory()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
