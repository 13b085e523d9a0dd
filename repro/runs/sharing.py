"""Trials of an iteration that several processes share (DDP), and numbers that are means over all of them.

DDP averages the gradients of the processes. A loss that is a sum divided by `shared_count` has as this average the
gradient of a single process with all trials.
"""

from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels.events import SpikeTrains, some_trials
from repro.eprop.rules.rate import shares_updates
from repro.errors import UserError


def process_of() -> tuple[int, int]:
    """The rank of this process, and how many train together; (0, 1) for one alone."""
    if not shares_updates():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def shard(batch: Any, rank: int, processes: int) -> Any:
    """The part of a batch that process `rank` trains.

    The batch is an array [batch, ...], spikes as events, or a tuple of these; other values are kept, and so is what has
    one trial in a batch of more: it is the same for all. Raises UserError where the processes cannot share the trials
    evenly.
    """
    return batch if processes == 1 else _shard(batch, _trials(batch), rank, processes)


def _trials(batch: Any) -> int:
    """The largest number of trials of its arrays."""
    if isinstance(batch, SpikeTrains):
        return batch.batch
    if isinstance(batch, tuple):
        return max(map(_trials, batch), default=0)
    return len(batch) if isinstance(batch, Tensor) else 0


def _shard(batch: Any, trials: int, rank: int, processes: int) -> Any:
    if isinstance(batch, tuple) and not isinstance(batch, SpikeTrains):
        parts = [_shard(part, trials, rank, processes) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    count = _trials(batch)
    if not count or count == 1 < trials:
        return batch
    first, stop = _part(count, rank, processes)
    return some_trials(batch, first, stop) if isinstance(batch, SpikeTrains) else batch[first:stop]


def _part(trials: int, rank: int, processes: int) -> tuple[int, int]:
    if trials % processes:
        raise UserError(
            f"batch_size={trials}: {processes} processes cannot share so many trials evenly; "
            f"choose a multiple of {processes}"
        )
    each = trials // processes
    return rank * each, (rank + 1) * each


def shared_count(count: Tensor, at_least: int = 1) -> Tensor:
    """The sum of `count` [scalar] over all processes, `at_least` if it is smaller, divided by their number."""
    _, processes = process_of()
    total = count.detach().double()
    if processes > 1:
        total = total.clone()
        torch.distributed.all_reduce(total)
    return total.clamp(min=at_least) / processes


def shared_mean(value: Tensor) -> Tensor:
    """The mean of a value over the processes; without a gradient where there are several."""
    _, processes = process_of()
    if processes == 1:
        return value
    total = value.detach().clone()
    torch.distributed.all_reduce(total)
    return total / processes


def shared_metrics(metrics: dict[str, Tensor]) -> dict[str, Tensor]:
    """The means of scalars over the processes."""
    if process_of()[1] == 1:
        return metrics
    return dict(zip(metrics, shared_mean(torch.stack([x.double() for x in metrics.values()])).unbind(), strict=True))
