"""One measurement in a separate process, so that threads are limited before torch and XLA start and memory is clean.

`python -m benchmarks.worker` reads a request from standard input and writes the answer as the last line of output.
"""

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.catalogue import IN_LIGHTNING, JAX

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
PEAK_RESET = Path("/proc/self/clear_refs")  # Linux
# For compiling before memory is measured.
SMALL = {
    "pattern_generation": {"n_rec": 8, "trial_ms": 20},
    "store_recall": {"n_lif": 4, "n_alif": 4, "trial_ms": 24, "period_ms": 2, "batch_size": 2},
    "speech": {"n_lif": 4, "n_alif": 4, "batch_size": 2, "frames": 4},
    "arm_reaching": {"n_rec": 4, "n_module": 4, "trial_ms": 20, "batch_size": 2},
    "copy_repeat": {"units": 4, "batch_size": 2},
    "word_prediction": {"vocabulary": 12, "units": 4, "batch_size": 2},
}
WARM = 2  # turns in which things are compiled, not counted


def timing(task: str, size: dict[str, int], who: list[str], rounds: int) -> dict[str, Any]:
    """CPU seconds of every contender's iterations, and what was the same about them.

    A turn is two iterations, of which the second counts: it finds caches and heap as in training, not as others left
    them.
    """
    from benchmarks import agreement
    from benchmarks.contenders import build
    from benchmarks.windows import problem_of

    problem = problem_of(task, size)
    agreed = agreement.check(problem)
    steps = {name: build(name, problem) for name in who if not name.endswith(IN_LIGHTNING)}
    cpu: dict[str, list[float]] = {name: [] for name in who}
    wall = dict.fromkeys(steps, 0.0)

    def each_once() -> None:
        for name, step in steps.items():
            step()
            start, on_the_wall = time.process_time(), time.perf_counter()
            step()
            cpu[name].append(time.process_time() - start)
            wall[name] += time.perf_counter() - on_the_wall

    if who[-1].endswith(IN_LIGHTNING):
        cpu[who[-1]] = under_lightning(problem, rounds + WARM, between=each_once)
    else:
        for _ in range(rounds + WARM):
            each_once()
    threads = max(sum(cpu[name]) / wall[name] for name in steps)  # above 1 if anyone used more than one
    return {"cpu_s": {name: seconds[-rounds:] for name, seconds in cpu.items()}, "threads": threads, "agreed": agreed}


def under_lightning(problem: Any, rounds: int, between: Callable[[], None]) -> list[float]:
    """CPU seconds from every second batch to the next in a Trainer's loop; `between` runs before each turn of two.

    All of that happens while the loop waits for a batch. The last turn's end is not seen: one number less than rounds.
    """
    from benchmarks.problem import trainer
    from repro.runs.loaders import IndexedLoader

    started, seconds = 0.0, []

    def batch_of(index: int) -> Any:
        nonlocal started
        if index % 2 == 0:
            if index:
                seconds.append(time.process_time() - started)
            between()
        started = time.process_time()
        return problem.trial

    config = problem.config()
    trainer(config, 2 * rounds).fit(problem.module(config), IndexedLoader(batch_of, 2 * rounds))
    return seconds


def memory(task: str, size: dict[str, int], who: str) -> dict[str, float | None]:
    """Megabytes that iterations of one contender add to a process that has imported and compiled all they need."""
    from benchmarks.windows import problem_of

    if not PEAK_RESET.exists():
        return {"peak_mb": None}
    if who != JAX:  # XLA compiles for one size alone: its compiler counts
        _iterate(who, problem_of(task, SMALL[task], settle=0))
    before = _resident_mb("VmRSS")
    PEAK_RESET.write_text("5")
    _iterate(who, problem_of(task, size, settle=0))
    return {"peak_mb": _resident_mb("VmHWM") - before}


def _iterate(who: str, problem: Any) -> None:
    from benchmarks.contenders import build

    if who.endswith(IN_LIGHTNING):
        under_lightning(problem, WARM + 1, between=lambda: None)
        return
    step = build(who, problem)
    for _ in range(WARM + 1):
        step()


def _resident_mb(what: str) -> float:
    """VmRSS (now) or VmHWM (the peak); the peak of getrusage would begin with that of the parent process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def main() -> None:
    """Answer one request."""
    os.environ.update(ONE_THREAD)
    request = json.load(sys.stdin)
    measures: dict[str, Callable[..., Any]] = {"timing": timing, "memory": memory}
    answer_to = measures[request.pop("measure")]
    import pytorch_lightning  # noqa: F401  (sets its loggers up)
    import torch

    from repro.eprop.kernels.malloc import keep_freed_memory
    from repro.errors import RunFailed

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    try:
        answer = answer_to(**request)
    except RunFailed as error:
        answer = {"failed": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
