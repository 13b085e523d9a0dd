"""Which kernels compute on which device: one table. A device that is not in it gets those in plain torch.

`REPRO_NUMBA=0` in the environment leaves out the compiled kernels of the CPU.
"""

import functools
import importlib
import os
import warnings
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels import reference
from repro.eprop.kernels.first_order import first_order

PACKAGES = {"cpu": "repro.eprop.kernels.numba_cpu", "cuda": "repro.eprop.kernels.triton_cuda"}
COMPILERS = ("numba", "triton")  # optional packages
Operators = Any  # the functions of `reference`, by name
# What a device may have beside these: a layer and its readout in one call each way. `layers.fused` uses them.
FUSED = ("network_forward", "network_reverse")
# Up to so few neurons the CPU makes BPTT's products whole, with SIMD along trials.
FEW_NEURONS = 64


@functools.cache
def operators(device_type: str) -> Operators:
    """The functions of `repro.eprop.kernels.reference` for a type of device, such as "cpu": compiled ones where there
    are any, and the others in plain torch; and those of `FUSED`, each None where the device has none."""
    named: dict[str, Any] = {name: getattr(reference, name) for name in reference.OPERATORS} | dict.fromkeys(FUSED)
    if device_type in PACKAGES and not (device_type == "cpu" and os.environ.get("REPRO_NUMBA") == "0"):
        compiled = _imported(PACKAGES[device_type])
        named |= {name: getattr(compiled, name) for name in named if hasattr(compiled, name)}
    return SimpleNamespace(**named)


def _imported(package: str) -> Any:
    """A package of kernels; None where its compiler is not installed. Where that fails otherwise, with a warning."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        if error.name not in COMPILERS:
            warnings.warn(f"the compiled kernels cannot be used, and plain torch is slow: {error}", stacklevel=2)
        return None


def of(x: Tensor) -> Operators:
    """The operators for the device of an array. On a CPU, denormal numbers count as zero in this thread from now on:
    filters decay into them, and arithmetic with them is a hundred times slower."""
    device = x.device.type
    if device == "cpu":
        torch.set_flush_denormal(True)
    return operators(device)


def exponential_filter(x: Tensor, decay: float, reverse: bool = False) -> Tensor:
    """y^t = decay y^(t-1) + x^t along time, or from the end to the beginning; x and y [batch, time, ...].

    Differentiable. Raises no exceptions of its own.
    """
    filtered: Tensor = _Filter.apply(x, decay, reverse)
    return filtered


def filtered_product(h: Tensor, signal: Tensor, decay: float) -> Tensor:
    """y^t = decay y^(t+1) + h^t signal^t, [batch, time, ...]; an h of one trial is that of all.

    Differentiable once. Raises no exceptions of its own.
    """
    filtered: Tensor = _FilteredProduct.apply(h, signal, decay)
    return filtered


class _FilteredProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, signal: Tensor, decay: float) -> Tensor:
        ctx.save_for_backward(h, signal)
        ctx.decay = decay
        filtered: Tensor = of(h).filtered_product(h, signal, decay)
        return filtered

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        h, signal = ctx.saved_tensors
        by_h, by_signal = of(h).filtered_product_gradients(grads[0], h, signal, ctx.decay)
        return by_h, by_signal, None


class _Filter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: float, reverse: bool) -> Tensor:
        ctx.decay, ctx.reverse = decay, reverse
        filtered: Tensor = of(x).exponential_filter(x, decay, reverse)
        return filtered

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return exponential_filter(grads[0], ctx.decay, not ctx.reverse), None, None
