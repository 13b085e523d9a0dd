"""Settings of malloc: whether a process keeps the memory that it has freed, and when it gives that back."""

import contextlib
import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # <malloc.h>


def keep_freed_memory() -> None:
    """Keep freed memory for the next iteration, which wants the same arrays again.

    glibc would hand it back to the system, and each of its pages would come back by a fault: up to a tenth of an
    iteration of task 1.1, and two thirds of one of task 2.1 at the paper's size, whose arrays are so large that glibc
    would map each of them anew. Other C libraries have no such options and stay as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        c_library = ctypes.CDLL(None)
        c_library.mallopt(M_TRIM_THRESHOLD, -1)
        c_library.mallopt(M_MMAP_MAX, 0)


def release_freed_memory() -> None:
    """Hand all freed memory back to the system, once; whether it is kept from now on does not change."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
