"""A function of tensors, recorded once as a CUDA graph and replayed from then on: one launch in place of hundreds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class _Recorded(NamedTuple):
    graph: Any
    given: list[Tensor]
    result: Any


def map_tensors(tree: Any, function: Callable[[Tensor], Any]) -> Any:
    """`function` of every tensor in nested tuples, in the same tuples; other values stay as they are."""
    if isinstance(tree, Tensor):
        return function(tree)
    if not isinstance(tree, tuple):
        return tree
    mapped = [map_tensors(branch, function) for branch in tree]
    return type(tree)(*mapped) if hasattr(tree, "_fields") else tuple(mapped)


def writable(tree: Any) -> Any:
    """Copies of the tensors in nested tuples, to be written to in torch's inference mode and outside of it."""
    with torch.inference_mode(False), torch.no_grad():
        return map_tensors(tree, torch.clone)


def _leaves(tree: Any) -> list[Tensor]:
    """The tensors in nested tuples, in order."""
    leaves: list[Tensor] = []
    map_tensors(tree, leaves.append)
    return leaves


def copied(tree: Any) -> Any:
    """Copies of the tensors in nested tuples, by one launch for many rather than one for each."""
    copies = iter(torch._foreach_mul(_leaves(tree), 1.0))
    return map_tensors(tree, lambda _: next(copies))


class Replayed:
    """Calls `function` with trees of tensors (nested tuples); the next replay overwrites what one returned.

    With each new shape of the arguments the first call is computed as it stands, which also warms up the libraries,
    the second is recorded, and from then on it is replayed. Any other tensor that the function reads or writes must
    keep its memory address. Non-tensor arguments are part of the key by which recordings are kept.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._seen: dict[Any, _Recorded | None] = {}
        self._pool: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """As the function itself."""
        shape = map_tensors(arguments, lambda x: (tuple(x.shape), x.dtype))
        if shape not in self._seen:
            self._seen[shape] = None
            return self.function(*arguments)
        recorded = self._seen[shape] or self._record(shape, arguments)
        torch._foreach_copy_(recorded.given, _leaves(arguments))
        recorded.graph.replay()
        return recorded.result

    def _record(self, shape: Any, arguments: Any) -> _Recorded:
        mine = writable(arguments)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            result = self.function(*mine)
        self._pool = graph.pool()  # what one leaves free within a replay the others may use
        self._seen[shape] = recorded = _Recorded(graph, _leaves(mine), result)
        return recorded
