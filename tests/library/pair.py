"""What each of two processes does that train a user's module together."""

from pathlib import Path
from typing import Any

import pytest
import torch

from repro.eprop import Feedback, Readout
from tests.library.own import Batch, fit, together
from tests.runs.pair import meet

UPDATES = 4
EACH = 3  # trials a process and update


def shard(rank: int, update: int) -> Batch:
    """The trials of one process in one update: no two processes have the same."""
    first = 2 * EACH * update + EACH * rank
    return together(range(first, first + EACH))


def whole(update: int) -> Batch:
    """The trials of both."""
    return together(range(2 * EACH * update, 2 * EACH * (update + 1)))


def share(rank: int, port: int, folder: Path) -> None:
    """Train three times: with distinct trials, with the same trials in both, with rates that are not shared."""
    meet(rank, port)
    options: dict[str, Any] = {"devices": 2, "strategy": "ddp"}
    found = {
        "distinct": fit([shard(rank, update) for update in range(UPDATES)], **options),
        "same": fit([shard(0, update) for update in range(UPDATES)], **options),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.eprop.rules.rate.shared_rates", rates_of_one_process)
        found["own rates"] = fit([shard(rank, update) for update in range(UPDATES)], **options)
    torch.save(found, folder / f"{rank}.pt")


def share_feedback(rank: int, port: int, folder: Path) -> None:
    """Draw random feedback in both processes, whose seeds differ, with and without sharing the seed."""
    meet(rank, port)
    torch.manual_seed(rank)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    readout, z = Readout(12, 3, feedback=Feedback("random", window_ms=2)), torch.ones(1, 6, 12)
    found: dict[str, Any] = {"seed before": readout.feedback_seed}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Readout, "_share_seed", lambda self: None)
        found["b without"] = readout.feedback_weights(6)
    readout(z if rank else z[:, :4])
    with torch.no_grad():
        readout(z)
    found |= {"seed": readout.feedback_seed, "b": readout.feedback_weights(6)}
    readout.seed_feedback(100 + rank)
    readout(z)
    found["reseeded"] = readout.feedback_seed
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def rates_of_one_process(counts: torch.Tensor, steps: int, dt_ms: float) -> tuple[torch.Tensor, float]:
    """What a process would know without the other."""
    return counts * (1000 / dt_ms / steps), steps
