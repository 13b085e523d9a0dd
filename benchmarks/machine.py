"""The machine that was measured on, in words."""

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path

from repro.runs.provenance import git_state

PACKAGES = ("torch", "jax", "numba", "numpy", "pytorch-lightning")


def processor() -> str:
    """The model of the CPU, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def description() -> str:
    """CPU, cores, threads, load, versions, commit and date, in one sentence each."""
    commit, changed = git_state()
    versions = ", ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    load = f", load average {os.getloadavg()[0]:.1f} when this was written" if hasattr(os, "getloadavg") else ""
    return (
        f"{processor()}, {os.cpu_count()} cores{load}; one thread a process. Python {platform.python_version()}, "
        f"{versions}. Commit {commit[:12] or 'unknown'}{' with local changes' if changed else ''}, "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}."
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
