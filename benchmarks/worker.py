"""One measurement in a separate process, so that threads are limited before torch and XLA start and memory is clean.

`python -m benchmarks.worker` reads a request from standard input and writes the answer as the last line of output.
"""

import json
import logging
import os
import random
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.names import IN_LIGHTNING

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",  # as in a run on the CPU
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
FEWEST = 3  # turns that are timed, however little time there is
PROFILED = 3  # iterations


def agreement(task: str, size: dict[str, int], who: list[str]) -> dict[str, Any]:
    """Whether all compute the same."""
    from benchmarks.agreement import check
    from benchmarks.windows import problem_of

    return dict(check(problem_of(task, size), who))


def timing(task: str, size: dict[str, int], who: list[str], turns: int, seconds: float) -> dict[str, Any]:
    """CPU seconds of every contender's iterations, in `turns` turns or as many as fit into `seconds`, but FEWEST.

    In each turn all contenders are timed, in random order. Each does two iterations, of which the second counts: it
    finds caches and heap as in training, not as others left them.
    """
    from benchmarks.contenders import build
    from benchmarks.windows import problem_of

    end, order = time.perf_counter() + seconds, random.Random(0)
    problem = problem_of(task, size)
    steps = {name: build(name, problem).step for name in who if not name.endswith(IN_LIGHTNING)}
    cpu: dict[str, list[float]] = {name: [] for name in who}
    wall = dict.fromkeys(steps, 0.0)

    def turn() -> None:
        for name in order.sample(list(steps), len(steps)):
            steps[name]()
            start, on_the_wall = time.process_time(), time.perf_counter()
            steps[name]()
            cpu[name].append((time.process_time() - start) / len(problem.timed))
            wall[name] += (time.perf_counter() - on_the_wall) / len(problem.timed)

    def done() -> bool:
        timed = min(len(series) for name, series in cpu.items() if name in steps) - WARM
        return timed >= turns or (timed >= FEWEST and time.perf_counter() > end)

    if who[-1].endswith(IN_LIGHTNING):
        cpu[who[-1]] = under_lightning(problem, turn, done)
    else:
        while not done():
            turn()
    timed = min(map(len, cpu.values())) - WARM
    threads = max(sum(cpu[name]) / wall[name] for name in steps)  # above 1 if anyone used more than one
    return {"cpu_s": {name: series[WARM : WARM + timed] for name, series in cpu.items()}, "threads": threads}


def under_lightning(problem: Any, turn: Callable[[], None], done: Callable[[], bool]) -> list[float]:
    """CPU seconds of every second iteration in a Trainer's loop; `turn` runs before each two, while the loop waits for
    a batch, until `done`."""
    from benchmarks.problem import trainer
    from repro.runs.loaders import IndexedLoader

    config, batches, started, seconds = problem.config(), problem.timed, 0.0, []
    training = trainer(config)

    def batch_of(index: int) -> Any:
        nonlocal started
        iteration, batch = divmod(index, len(batches))
        if not batch:
            if iteration and iteration % 2 == 0:
                seconds.append((time.process_time() - started) / len(batches))
                training.should_stop = done()
            if iteration % 2 == 0 and not training.should_stop:
                turn()
            started = time.process_time()
        return batches[batch]

    training.fit(problem.module(config), IndexedLoader(batch_of, 10**6))
    return seconds


def memory(task: str, size: dict[str, int], who: str) -> dict[str, float | None]:
    """Megabytes that iterations of one contender add to a process that has imported and compiled all they need; for
    JAX what XLA allocates, since the memory of its compiler cannot be separated from that of the arrays."""
    from benchmarks.contenders import build
    from benchmarks.names import needs_jax
    from benchmarks.windows import problem_of

    if needs_jax(who):
        counted = build(who, problem_of(task, size, settle=0)).memory_mb
        return {"peak_mb": counted() if counted else None}
    if not PEAK_RESET.exists():
        return {"peak_mb": None}
    _iterate(who, problem_of(task, SMALL[task], settle=0))
    before = _resident_mb("VmRSS")
    PEAK_RESET.write_text("5")
    _iterate(who, problem_of(task, size, settle=0))
    return {"peak_mb": _resident_mb("VmHWM") - before}


def profile(task: str, size: dict[str, int], who: str) -> dict[str, float]:
    """Which operations a contender's iterations spend most time in: name -> share of all. What is no operation of
    torch, such as a compiled kernel, counts to the operation that calls it."""
    import torch

    from benchmarks.contenders import build
    from benchmarks.windows import problem_of

    step = build(who, problem_of(task, size)).step
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        start = time.perf_counter()
        for _ in range(PROFILED):
            step()
        whole_us = 1e6 * (time.perf_counter() - start)
    events = sorted(recorded.key_averages(), key=lambda event: -event.self_cpu_time_total)
    return {event.key: event.self_cpu_time_total / whole_us for event in events[:3]}


def _iterate(who: str, problem: Any) -> None:
    from benchmarks.contenders import build

    if who.endswith(IN_LIGHTNING):
        left = iter(range(WARM))
        under_lightning(problem, turn=lambda: None, done=lambda: next(left, None) is None)
        return
    step = build(who, problem).step
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
    measures: dict[str, Callable[..., Any]] = {
        **{"agreement": agreement, "timing": timing, "memory": memory, "profile": profile},
    }
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
