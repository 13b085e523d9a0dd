"""The decorator of all CPU kernels."""

from collections.abc import Callable
from typing import Any

import numba

config: Any = numba.config  # its attributes are made when it is imported

# NaN and infinity keep their meaning: no "nnan", no "ninf".
FAST = {"reassoc", "contract", "nsz", "arcp"}
# NUMBA_CACHE_DIR, else the user's cache folder, else beside the source: an installed package stays as it was installed.
WHERE = "UserProvidedCacheLocator,UserWideCacheLocator,InTreeCacheLocator"


def compiled(kernel: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the machine code for other processes.

    A numba that lacks the setting (0.61) keeps it beside the source.
    """
    before = getattr(config, "CACHE_LOCATOR_CLASSES", "")
    config.CACHE_LOCATOR_CLASSES = before or WHERE
    try:
        return numba.njit(cache=True, fastmath=FAST, error_model="numpy")(kernel)
    finally:
        config.CACHE_LOCATOR_CLASSES = before
