"""The heap below all arrays: what a process does with memory that it has freed."""

import contextlib
import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
KEEP, LARGEST = 1 << 30, 32 << 20  # bytes kept at the end of the heap; the largest array on it that glibc allows


def keep_freed_memory() -> None:
    """Keep freed memory for the next iteration, which wants the same arrays again.

    glibc would hand it back to the system, and each of its pages would come back by a fault: up to a tenth of an
    iteration of task 1.1. Other C libraries have no such option and go on as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        c_library = ctypes.CDLL(None)
        c_library.mallopt(M_TRIM_THRESHOLD, KEEP)
        c_library.mallopt(M_MMAP_THRESHOLD, LARGEST)
