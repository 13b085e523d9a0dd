"""Products of dense matrices without a tape, by the faster of the libraries that torch has on this processor.

torch multiplies float32 by MKL, which leaves the AVX-512 unit of processors that are not Intel's unused; oneDNN, which
is in torch too, uses it. The processor decides, not a measurement: all processes of a run must have the same bits.
`REPRO_ONEDNN=0` in the environment leaves oneDNN out.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CPUINFO = Path("/proc/cpuinfo")
SAME = 1e-4  # the largest relative difference of two correct products in float32


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b, [row, inner] and [inner, column]; no gradient is recorded.

    oneDNN is fastest where both lie in memory as they are indexed; a transposed `a` costs it little.
    """
    by_onednn = _onednn() if a.dtype == torch.float32 and a.device.type == "cpu" and a.numel() and b.numel() else None
    with torch.no_grad():
        result: Tensor = a @ b if by_onednn is None else by_onednn(a, b)
    return result


def library() -> str:
    """The library that multiplies float32 matrices on the CPU: "oneDNN", "MKL", or "BLAS" for any other."""
    if _onednn() is not None:
        return "oneDNN"
    return "MKL" if torch.backends.mkl.is_available() else "BLAS"


@functools.cache
def _onednn() -> Callable[[Tensor, Tensor], Tensor] | None:
    """a b by oneDNN; None where MKL is as fast, and where torch's operator, which is private, is not as expected."""
    if os.environ.get("REPRO_ONEDNN") == "0" or not _leaves_avx512_unused():
        return None
    try:
        operator: Any = torch.ops.mkldnn._linear_pointwise

        def by_onednn(a: Tensor, b: Tensor) -> Tensor:
            result: Tensor = operator(a, b.T, None, "none", [], "")
            return result

        a, b = torch.rand(5, 7), torch.rand(3, 7).T
        wanted = a @ b
        same = (by_onednn(a, b) - wanted).abs().max() < SAME * wanted.abs().max()
    except (AttributeError, RuntimeError, TypeError):
        return None
    return by_onednn if same else None


def _leaves_avx512_unused() -> bool:
    """Whether the processor has AVX-512 and is not Intel's."""
    if not torch.backends.mkldnn.is_available() or not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    try:
        return "GenuineIntel" not in CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
