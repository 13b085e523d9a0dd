"""The code version and the machine, as a record stores them."""

import importlib.metadata
import subprocess

from repro.records.store import CHECKOUT

PACKAGES = ("torch", "pytorch-lightning", "numba", "numpy")


def git_state() -> tuple[str, bool]:
    """The commit, and whether tracked files differ from it; ("", True) outside a checkout."""

    def ask(*words: str) -> str:
        return subprocess.run(["git", "-C", str(CHECKOUT), *words], capture_output=True, text=True, check=True).stdout

    try:
        dirty = ask("status", "--porcelain", "--untracked-files=no", "--", "repro", "tasks").strip()
        return ask("rev-parse", "HEAD").strip(), bool(dirty)
    except (OSError, subprocess.CalledProcessError):
        return "", True


def versions() -> dict[str, str]:
    """Versions of the packages that can move a number; a missing one is left out."""
    known = {}
    for name in PACKAGES:
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known
