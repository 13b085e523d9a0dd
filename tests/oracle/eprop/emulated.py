"""CUDA graphs, emulated on the CPU."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels.cuda_graph import Replayed, _Recorded, map_tensors, writable


def tensors(tree: Any) -> list[Tensor]:
    """The tensors in nested tuples."""
    leaves: list[Tensor] = []
    map_tensors(tree, leaves.append)
    return leaves


class Emulated(Replayed):
    """Replays on the CPU what a CUDA graph would: the recorded work again, on the memory of the recorded arguments,
    its results where the last ones were. Recording computes nothing, so that it advances no vectors."""

    replays = 0

    def _record(self, shape: Any, arguments: Any) -> _Recorded:
        mine = writable(arguments)
        without_vectors = (*mine[:3], None, *mine[4:])
        result = writable(map_tensors(self.function(*without_vectors), torch.zeros_like))

        def replay() -> None:
            Emulated.replays += 1
            torch._foreach_copy_(tensors(result), tensors(self.function(*mine)))

        self._seen[shape] = recorded = _Recorded(SimpleNamespace(replay=replay), tensors(mine), result)
        return recorded
