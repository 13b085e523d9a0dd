"""The code version and the machine, as a record stores them."""

import functools
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from repro.records.store import CHECKOUT, in_checkout

PACKAGES = ("torch", "pytorch-lightning", "numba", "numpy")


@functools.cache
def git_state() -> tuple[str, bool]:
    """The commit at the first call, and whether the code differed from it, new files included; ("", True) outside a
    checkout. Call it when a process begins: a commit that is checked out later is not that of the code that it has
    imported."""

    def ask(*words: str) -> str:
        return subprocess.run(["git", "-C", str(CHECKOUT), *words], capture_output=True, text=True, check=True).stdout

    if not in_checkout():  # git would ask the repository around the environment, if there is one
        return "", True
    try:
        dirty = ask("status", "--porcelain", "--", "repro", "tasks", "pyproject.toml").strip()
        return ask("rev-parse", "HEAD").strip(), bool(dirty)
    except (OSError, subprocess.CalledProcessError):
        return "", True


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of packages, by default of those that can move a number; a missing one is left out."""
    known = {}
    for name in packages:
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known


def memory_bytes(maxrss: int) -> int:
    """`ru_maxrss` in bytes: Linux counts KiB, macOS bytes."""
    return maxrss if sys.platform == "darwin" else 1024 * maxrss


@functools.cache
def machine(device: str) -> str:
    """The kind of machine that computes: the model of the GPU or of the processor, "" where it is not known."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
