"""One thread for XLA, as where the benchmarks are timed; read when JAX computes first."""

import os

from benchmarks.worker import ONE_THREAD, PEAK_RESET

NO_PEAK = f"peaks of memory are measured by {PEAK_RESET}, which Linux alone has"

for name in ("XLA_FLAGS", "JAX_PLATFORMS"):
    os.environ.setdefault(name, ONE_THREAD[name])
