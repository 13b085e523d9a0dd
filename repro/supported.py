"""Whether an environment can be made here. `make` asks before it downloads gigabytes.

Runs alone, on any Python 3: it imports nothing of the project and prints one sentence where the answer is no.
"""

import importlib.util
import platform
import shutil
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
GLIBC = (2, 28)  # what the wheels of torch are built for


def problem(gigabytes: float) -> str:
    """Why no environment of so many GB can be made here; empty if one can."""
    version, free = sys.version_info[:2], shutil.disk_usage(".").free / 1e9
    if not OLDEST <= version <= NEWEST:
        found = f"{sys.executable} is Python {version[0]}.{version[1]}"
        return f"this needs Python 3.11, 3.12 or 3.13, and {found}: make PYTHON=/path/to/python3.11"
    if platform.python_implementation() != "CPython" or sys.maxsize < 2**32:
        return f"this needs a 64-bit CPython: torch has no build for {platform.python_implementation()}, 32 bit"
    if importlib.util.find_spec("ensurepip") is None:
        return f"{sys.executable} cannot make environments: install its venv (on Debian: apt install python3-venv)"
    if unsupported := _system():
        return f"torch has no build for {unsupported}; this runs on Linux with glibc 2.28 and on macOS on Apple silicon"
    if free < gigabytes:
        smaller = "; CUDA=no makes a smaller one" if gigabytes > 2 else ""
        return f"the environment takes {gigabytes:g} GB, and {free:.1f} GB of disk are free here{smaller}"
    return ""


def _system() -> str:
    """The system and its processor, if torch has no build for them."""
    system, machine = platform.system(), platform.machine()
    if system == "Linux" and machine in ("x86_64", "aarch64"):
        library, version = platform.libc_ver()
        modern = library == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= GLIBC
        return "" if modern else f"Linux with {library} {version}" if library else "Linux without glibc"
    return "" if (system, machine) == ("Darwin", "arm64") else f"{system} on {machine}"


if __name__ == "__main__":
    sys.exit(problem(float(sys.argv[1])) or 0)
