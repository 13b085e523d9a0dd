"""The decorator of all CPU kernels."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.misc.appdirs import AppDirs

config: Any = numba.config  # its attributes are made when it is imported

# NaN and infinity keep their meaning: no "nnan", no "ninf".
FAST = {"reassoc", "contract", "nsz", "arcp"}


def cache_folder(source: Path = Path(__file__).parent) -> str:
    """Where machine code is kept: below NUMBA_CACHE_DIR or the user's cache folder, in a folder that is named by all
    files of kernels. Numba sees a change of the kernel's own file, and none of a function that it calls."""
    above = config.CACHE_DIR or AppDirs(appname="numba", appauthor=False).user_cache_dir
    files = b"".join(path.read_bytes() for path in sorted(source.glob("*.py")))
    return str(Path(above, f"repro-{hashlib.sha256(files).hexdigest()[:16]}"))


FOLDER = cache_folder()


def compiled(kernel: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the machine code for other processes.

    It is kept in `FOLDER`; where that cannot be written, beside the source.
    """
    before, config.CACHE_DIR = config.CACHE_DIR, FOLDER
    try:
        return numba.njit(cache=True, fastmath=FAST, error_model="numpy")(kernel)
    finally:
        config.CACHE_DIR = before
