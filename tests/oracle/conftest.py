"""What the oracles of tasks and kernels share; those of the layers have more in `tests.oracle.eprop.conftest`."""

from torch import Tensor


def relative(found: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest entry."""
    return float((found - wanted).abs().max() / wanted.abs().max())
