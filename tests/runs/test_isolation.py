"""Runs in one process after others end as those that have a process of their own; without isolation they do not."""

import functools
import itertools
import json
import os
import random
import resource
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro.runs.isolation import STATE, isolated
from tests.runs.in_turn import DRAWS, FAILS, RUNS, SPOILERS, in_turn

Numbers = Mapping[str, Any]


def trained(processes: ForkServerContext, folder: Path, *names: str, isolate: bool = True) -> list[Numbers]:
    """Hash of the weights and metrics of some runs, made one after the other in one new process."""
    process = processes.Process(target=in_turn, args=(folder, names, isolate))
    process.start()
    process.join(500)
    assert process.exitcode == 0
    numbers: list[Numbers] = json.loads((folder / "numbers.json").read_text())
    return numbers


@pytest.fixture(scope="module")
def alone(processes: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Numbers]:
    """The same of each run, made in a process of its own."""
    return {name: trained(processes, tmp_path_factory.mktemp("alone"), name)[0] for name in RUNS}


@pytest.mark.parametrize("turn", range(2))
def test_a_run_is_the_same_first_second_and_last(
    processes: ForkServerContext, alone: dict[str, Numbers], tmp_path: Path, turn: int
) -> None:
    names = [*RUNS]
    random.Random(turn).shuffle(names)
    for name, numbers in zip(names, trained(processes, tmp_path, *names), strict=True):
        assert numbers == alone[name], (name, names)
    assert len({numbers["weights"] for numbers in alone.values()}) == len(RUNS)  # control


def test_what_a_run_leaves_behind_reaches_no_other(
    processes: ForkServerContext, alone: dict[str, Numbers], tmp_path: Path
) -> None:
    pairs = itertools.zip_longest([FAILS, *SPOILERS], RUNS, fillvalue="words")
    names = [name for pair in pairs for name in pair]
    first, *after = trained(processes, tmp_path, *names)
    assert "dead network" in first["error"]
    for name, numbers in list(zip(names[1:], after, strict=True))[::2]:
        assert numbers == alone[name], (name, names)


@pytest.mark.parametrize(
    ("spoiler", "name"), [("default dtype", "e-prop 1"), ("environment", "words"), ("seed", DRAWS)]
)
def test_control_without_isolation_it_does(
    processes: ForkServerContext, alone: dict[str, Numbers], tmp_path: Path, spoiler: str, name: str
) -> None:
    assert trained(processes, tmp_path, spoiler, name, isolate=False)[1] != alone[name]


SPOILED: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "seed": (lambda: torch.manual_seed(3), lambda: torch.get_rng_state().tolist()),
    "numpy's seed": (functools.partial(np.random.seed, 3), lambda: str(STATE[1][0]())),
    "Python's seed": (lambda: random.seed(3), random.getstate),
    "dtype": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "device": (lambda: torch.set_default_device("meta"), lambda: torch.zeros(1).device),
    "threads": (lambda: torch.set_num_threads(3), torch.get_num_threads),
    "no gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "denormal numbers": (
        lambda: torch.set_flush_denormal(True),
        lambda: (torch.ones(1, dtype=torch.int64).view(torch.float64) * 1).view(torch.int64).item(),
    ),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True),
        torch.are_deterministic_algorithms_enabled,
    ),
    "precision": (
        lambda: torch.set_float32_matmul_precision("medium"),
        torch.get_float32_matmul_precision,
    ),
    "folder": (lambda: os.chdir("/"), os.getcwd),
    "environment": (lambda: os.environ.update(REPRO_NUMBA="0"), lambda: dict(os.environ)),
}


@pytest.mark.parametrize(("spoil", "read"), SPOILED.values(), ids=SPOILED)
def test_each_piece_of_state_is_put_back(spoil: Callable[[], object], read: Callable[[], object]) -> None:
    assert len(SPOILED) == len(STATE)
    with isolated():  # of this test
        torch.set_flush_denormal(False)
        before = read()
        with isolated():
            spoil()
            assert read() != before
        assert read() == before


def test_after_an_exception_too() -> None:
    before = torch.get_default_dtype()
    with pytest.raises(MemoryError), isolated():
        torch.set_default_dtype(torch.float64)
        raise MemoryError
    assert torch.get_default_dtype() == before


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_peak_memory_is_that_of_the_block() -> None:
    with isolated():
        kept = torch.ones(100_000_000)
        large = peak_mb()
    assert kept[0] == 1
    del kept
    with isolated():
        assert peak_mb() < large - 300
