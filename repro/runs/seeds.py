"""Random numbers by purpose: one seed of a run gives an independent stream for weights, feedback, data, ..."""

import hashlib

import torch


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator that depends on the seed and the purpose alone, whatever else has drawn numbers.

    torch's generator keeps 32 bits of its seed, so that two streams can be the same: of runs with 2000 batches of
    training and 2000 of validation, about one in a thousand validates on one batch that it is trained on.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
