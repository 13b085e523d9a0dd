"""The machine that was measured on, in words."""

import datetime
import os
import platform

from repro.runs.provenance import git_state, machine, versions

PACKAGES = ("torch", "jax", "numba", "numpy", "pytorch-lightning")


def description() -> str:
    """CPU, cores, threads, load, versions, commit and date, in one sentence each."""
    commit, changed = git_state()
    packages = ", ".join(f"{name} {version}" for name, version in versions(PACKAGES).items())
    load = f", load average {os.getloadavg()[0]:.1f} when this was written" if hasattr(os, "getloadavg") else ""
    return (
        f"{machine('cpu') or platform.machine()}, {os.cpu_count()} cores{load}; one thread a process. Python "
        f"{platform.python_version()}, {packages}. Commit {commit[:12] or 'unknown'}"
        f"{' with local changes' if changed else ''}, {datetime.datetime.now(datetime.UTC):%Y-%m-%d}."
    )
