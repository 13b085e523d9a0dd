"""Clipping of gradients, some of which have only the rows of the words that occurred."""

from collections.abc import Iterable

import torch
from torch import nn

TINY = 1e-6  # as torch.nn.utils.clip_grad_norm_ adds to the norm


def clip(parameters: Iterable[nn.Parameter], limit: float) -> None:
    """As torch.nn.utils.clip_grad_norm_, which takes no sparse gradients: scale gradients whose norm together is above
    `limit` down to it."""
    values = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.is_sparse:
            parameter.grad = gradient = gradient.coalesce()  # adds up the rows of a word that occurred twice
            gradient = gradient.values()
        if gradient is not None:
            values.append(gradient)
    factor = limit / (torch.nn.utils.get_total_norm(values) + TINY)
    if factor.device.type != "cpu" or factor < 1:
        torch._foreach_mul_(values, factor.clamp(max=1))
