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

from repro.eprop.kernels.first_order import first_order

CPUINFO = Path("/proc/cpuinfo")
SAME = 1e-4  # the largest relative difference of two correct products in float32


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a b, [row, inner] and [inner, column], or a b + `bias` [column]; no gradient is recorded.

    oneDNN is fastest where both lie in memory as they are indexed; a transposed `a` costs it little.
    """
    by_onednn = _onednn() if a.dtype == torch.float32 and a.device.type == "cpu" and a.numel() and b.numel() else None
    with torch.no_grad():
        if by_onednn is not None:
            return by_onednn(a, b, bias)
        return a @ b if bias is None else torch.addmm(bias, a, b)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As torch.nn.functional.linear, of rows [row, input], with such products; it cannot be differentiated twice.

    `weight` [output, input] is fastest where it lies in memory transposed.
    """
    result: Tensor = _Linear.apply(x, weight, bias)
    return result


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight.T, bias)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), by_y, wanted = ctx.saved_tensors, grads[0], ctx.needs_input_grad
        by_weight = None
        if wanted[1]:  # the smaller array is transposed; a large gradient then has the layout of a transposed weight
            by_weight = product(by_y.T, x) if by_y.shape[1] < x.shape[1] else product(x.T, by_y).T
        return product(by_y, weight) if wanted[0] else None, by_weight, by_y.sum(dim=0) if wanted[2] else None


def matrix_library() -> str:
    """The library that multiplies float32 matrices on the CPU: "oneDNN", "MKL", or "BLAS" for any other."""
    if _onednn() is not None:
        return "oneDNN"
    return "MKL" if torch.backends.mkl.is_available() else "BLAS"


@functools.cache
def _onednn() -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    """a b + bias by oneDNN; None where MKL is as fast, and where torch's private operator is not as expected."""
    if os.environ.get("REPRO_ONEDNN") == "0" or not _leaves_avx512_unused():
        return None
    try:
        operator: Any = torch.ops.mkldnn._linear_pointwise

        def by_onednn(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
            result: Tensor = operator(a, _dense(b.T), bias, "none", [], "")
            return result

        random = torch.Generator().manual_seed(0)  # not the user's random numbers
        kind: dict[str, Any] = {"generator": random, "dtype": torch.float32, "device": "cpu"}
        a, b, bias = torch.rand(5, 7, **kind), torch.rand(3, 7, **kind).T, torch.rand(3, **kind)
        with torch.autocast("cpu", enabled=False):
            wanted = a @ b + bias
            same = (by_onednn(a, b, bias) - wanted).abs().max() < SAME * wanted.abs().max()
    except (AttributeError, RuntimeError, TypeError):
        return None
    return by_onednn if same else None


def _dense(matrix: Tensor) -> Tensor:
    """The same, copied if it is a part of a larger matrix: with such, oneDNN takes a thousand times as long."""
    if matrix.is_contiguous() or matrix.T.is_contiguous():
        return matrix
    return matrix.contiguous() if matrix.stride(1) == 1 else matrix.T.contiguous().T


def _leaves_avx512_unused() -> bool:
    """Whether the processor has AVX-512 and is not Intel's."""
    if not torch.backends.mkldnn.is_available() or not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    try:
        return "GenuineIntel" not in CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
