"""The parameters of a module: their hash, and the bytes in which a finished run keeps them."""

import hashlib
from typing import TYPE_CHECKING

import torch

from repro.records.arrays import pack_arrays

if TYPE_CHECKING:
    import numpy as np


def weights_hash(module: torch.nn.Module) -> str:
    """One hash over all parameters: two runs with the same one are bit-identical.

    A network's parameters are named as before it had a layer and a readout: accepted records keep their meaning.
    """
    digest = hashlib.sha256()
    named = {name.replace(".layer.", ".").replace(".readout.", "."): array for name, array in _arrays(module).items()}
    for name, array in sorted(named.items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


def packed_weights(module: torch.nn.Module) -> bytes:
    """All parameters, by their names in the module."""
    return pack_arrays(_arrays(module))


def _arrays(module: torch.nn.Module) -> "dict[str, np.ndarray]":
    return {name: p.detach().cpu().contiguous().numpy() for name, p in module.named_parameters()}
