"""A function of tensors, recorded once as a CUDA graph and replayed from then on: one launch in place of hundreds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor


class _Recorded(NamedTuple):
    graph: Any
    given: list[Tensor]
    result: Any


def _leaves(tree: Any) -> list[Tensor]:
    """The tensors in nested tuples, in order."""
    found: list[Tensor] = []
    apply_to_collection(tree, Tensor, found.append)
    return found


class Replayed:
    """Calls `function` with trees of tensors (nested tuples); the next replay overwrites what one returned.

    With each new shape of the arguments the first call is computed as it stands, which also makes what the libraries
    want, the second is recorded, and from then on it is replayed. Whatever else the function reads or writes, weights
    and arrays in place, it must find at the same addresses each time; what is no tensor in the arguments is a part of
    their shape.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._seen: dict[Any, _Recorded | None] = {}
        self._pool: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """As the function itself."""
        shape = apply_to_collection(arguments, Tensor, lambda x: (tuple(x.shape), x.dtype))
        if shape not in self._seen:
            self._seen[shape] = None
            return self.function(*arguments)
        recorded = self._seen[shape] or self._record(shape, arguments)
        torch._foreach_copy_(recorded.given, _leaves(arguments))
        recorded.graph.replay()
        return recorded.result

    def _record(self, shape: Any, arguments: Any) -> _Recorded:
        mine = apply_to_collection(arguments, Tensor, torch.clone)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            result = self.function(*mine)
        self._pool = graph.pool()  # what one leaves free within a replay the others may use
        self._seen[shape] = recorded = _Recorded(graph, _leaves(mine), result)
        return recorded
