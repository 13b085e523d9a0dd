"""Batches as a pure function of their index, so that a resumed run gets the batches of an uninterrupted one."""

from collections.abc import Callable, Iterator
from typing import Any

from repro.runs.sharing import process_of, shard

ENDLESS = 2**40  # batches: with a length, even this one, Lightning fetches none before its time


class IndexedLoader:
    """Yields `batch_of(index)` for index 0 .. length - 1; its position is in Lightning's checkpoints.

    Of several processes (DDP) each gets its part of the batch's trials. Raises UserError where these cannot be shared
    evenly.
    """

    def __init__(self, batch_of: Callable[[int], Any], length: int) -> None:
        self.batch_of, self.length = batch_of, length
        self._start = self._next = 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        for batch in self._whole_batches():
            yield shard(batch, *process_of())

    def _whole_batches(self) -> Iterator[Any]:
        start, self._start = self._start, 0
        for index in range(start, self.length):
            self._next = index + 1
            yield self.batch_of(index)

    def state_dict(self) -> dict[str, int]:
        """Index of the batch to come."""
        return {"next": self._next}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue with the batch that `state_dict` names."""
        self._start = self._next = state_dict["next"] % self.length


class SequenceLoader(IndexedLoader):
    """As `IndexedLoader`, but `batch_of(index)` gives several batches, the windows of an iteration: they are made when
    the last iteration has ended, so that they may depend on how it went. They are this process's alone."""

    def __len__(self) -> int:
        return ENDLESS

    def __iter__(self) -> Iterator[Any]:
        for windows in self._whole_batches():
            yield from windows

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue with the iteration that `state_dict` names; after the last one there is none, and Lightning, which
        counts windows, does not know."""
        self._start = self._next = state_dict["next"]


class EvaluationLoader:
    """Yields `batch_of(index)` for index 0 .. length - 1; of several processes each gets whole batches, in turn."""

    def __init__(self, batch_of: Callable[[int], Any], length: int) -> None:
        self.batch_of, self.length = batch_of, length

    def _indices(self) -> range:
        rank, processes = process_of()
        return range(rank, self.length, processes)

    def __len__(self) -> int:
        return len(self._indices())

    def __iter__(self) -> Iterator[Any]:
        return map(self.batch_of, self._indices())
