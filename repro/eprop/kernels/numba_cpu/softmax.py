"""The softmax over many words, compiled by numba: logits are read from memory once, its error is written once."""

import math

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.functions import exp_of_negative
from repro.eprop.kernels.numba_cpu.recursions import Array


@compiled
def cross_entropy(
    logits: Array, target: Array, highest: Array, nats: Array, error: Array
) -> None:  # pragma: no cover - compiled
    """`highest` [row] is the largest logit of each row, which lies in the cache from the first loop on."""
    rows, words = logits.shape
    for row in range(rows):
        total = highest[row] - highest[row]
        for word in range(words):
            p = exp_of_negative(logits[row, word] - highest[row])
            error[row, word] = p
            total += p
        for word in range(words):
            error[row, word] /= total
        came = target[row]
        nats[row] = math.log(total) + highest[row] - logits[row, came]
        error[row, came] -= 1
