"""Small tasks whose iterations two processes share."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import repro.runs.loaders as loaders
from benchmarks.batches import doubled
from repro.runs.loaders import EvaluationLoader
from repro.runs.recorder import Recorder
from repro.runs.sharing import shard
from tasks.arm_reaching.config import ArmReachingConfig
from tasks.arm_reaching.data import batch
from tasks.arm_reaching.module import ArmReachingModule
from tasks.speech.config import SpeechConfig
from tasks.speech.data import SpeechBatch, batch_of
from tasks.speech.features import CHANNELS, Features
from tasks.speech.module import SpeechModule
from tasks.store_recall.config import StoreRecallConfig
from tasks.store_recall.data import RecallTrial, trials
from tasks.store_recall.module import StoreRecallModule
from tests.library.pair import rates_of_one_process
from tests.runs.pair import meet
from tests.runs.small import Descends, module_of, small, together, train, trainer_of, trial, weights

UPDATES = 3
RECALL = StoreRecallConfig(
    **{"n_lif": 5, "n_alif": 5, "batch_size": 4, "trial_ms": 120, "period_ms": 20, "v_th": 0.3, "sequences": "free"},
    **{"rate_loss": "sum_khz", "rate_cost": 50.0, "input_rate_hz": 100.0, "command_probability": 0.5},
)
SPEECH = SpeechConfig(
    **{"n_lif": 6, "n_alif": 4, "batch_size": 4, "v_th": 0.6, "beta": 0.1, "corpus": "stand_in"},
    **{"rate_loss": "sum_khz", "rate_cost": 50.0},
)
REACH = ArmReachingConfig(
    **{"n_rec": 12, "n_module": 9, "trial_ms": 60, "batch_size": 4, "task_loss": "mean", "motor_weight": 0.01},
    **{"rate_loss": "mean_hz", "rate_cost": 1e-3, "inner_learning_rate": 1e-3},
)
# Task -> the config's values that make another way of training.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "pattern_generation": ("pattern_generation", {}),
    "bptt": ("pattern_generation", {"algorithm": "bptt"}),
    "readout only": ("pattern_generation", {"algorithm": "readout_only"}),
    "online": ("pattern_generation", {"evaluator": "online"}),
    "store_recall": ("store_recall", {}),
    "store_recall by period": ("store_recall", {"task_loss": "period"}),
    "store_recall online": ("store_recall", {"evaluator": "online", "task_loss": "per_ms"}),
    "speech": ("speech", {}),
    "arm_reaching": ("arm_reaching", {}),
    "speech, a mean over frames": ("speech", {"task_loss": "mean", "readout_every": "frame"}),
}


class Recalls(Descends, StoreRecallModule):
    """Task 1.2 by gradient descent."""


class Reaches(Descends, ArmReachingModule):
    """Task 2.1 by gradient descent."""


class Speaks(Descends, SpeechModule):
    """Task 1.3 by gradient descent."""


def module(way: str) -> Any:
    """The module that a way begins with, in float64."""
    task, values = WAYS[way]
    if task == "store_recall":
        return Recalls(dataclasses.replace(RECALL, **values), 3).double()
    if task == "arm_reaching":
        return Reaches(REACH, 3).double()
    if task == "speech":
        return Speaks(dataclasses.replace(SPEECH, **values), 3).double()
    return module_of(small(**values))


def utterances(index: int) -> SpeechBatch:
    """Four utterances of unequal length."""
    random = torch.Generator().manual_seed(50 + index)
    frames = [0.5 * torch.randn(length, CHANNELS, generator=random).double() for length in (4, 9, 6, 5)]
    labels = [torch.randint(61, (len(x),), generator=random) for x in frames]
    return batch_of(Features(("",) * 4, frames, labels), range(4), 5)


def batches(way: str) -> Sequence[Any]:
    """What all processes train in each update: four trials, of which no two are alike."""
    task, _ = WAYS[way]
    if task == "store_recall":
        return [trials(RECALL, 3, "training", index) for index in range(UPDATES)]
    if task == "arm_reaching":
        return [doubled(batch(REACH, 3, "training", index, REACH.batch_size)) for index in range(UPDATES)]
    if task == "speech":
        return [utterances(index) for index in range(UPDATES)]
    return [together([trial(4 * index + k) for k in range(4)]) for index in range(UPDATES)]


def trained(way: str, **options: Any) -> dict[str, Any]:
    """Weights and series after training."""
    recorder = Recorder()
    return {"weights": weights(train(module(way), batches(way), recorder, **options)), "series": recorder.series}


def evaluated(way: str, **options: Any) -> float:
    """What `trainer.validate` returns: of three batches, so that one process has two of them."""
    loader = EvaluationLoader(batches(way).__getitem__, UPDATES)
    (numbers,) = trainer_of(**options).validate(module(way), loader, verbose=False)
    (value,) = numbers.values()
    return float(value)


def recalls(batch: RecallTrial) -> int:
    """How many RECALL periods a batch has."""
    return int((batch.schedule.target >= 0).sum())


@contextlib.contextmanager
def mistaken(mistake: str) -> Iterator[None]:
    """Processes that all train the first part, or that count and average their trials alone."""
    with pytest.MonkeyPatch.context() as patch:
        if mistake == "same trials":
            patch.setattr(loaders, "shard", lambda batch, rank, processes: shard(batch, 0, processes))
        if mistake == "each its own count":
            patch.setattr("tasks.store_recall.module.shared_count", lambda count, at_least=1: count.clamp(min=at_least))
        if mistake == "each its own rates":
            patch.setattr("repro.eprop.rules.rate.shared_rates", rates_of_one_process)
        yield


# Mistakes that must be seen, by the ways in which they are made.
MISTAKES = {
    "same trials": ("pattern_generation", "store_recall", "speech", "arm_reaching"),
    "each its own count": ("store_recall", "store_recall by period"),
    "each its own rates": ("pattern_generation", "store_recall", "speech", "arm_reaching"),
}
EVALUATED = ("store_recall", "speech")


def share(rank: int, port: int, folder: Path) -> None:
    """One of two processes that train together, in each way, and with each mistake; saves what came of it."""
    meet(rank, port)
    options: dict[str, Any] = {"devices": 2, "strategy": "ddp"}
    results: dict[str, Any] = {way: trained(way, **options) for way in WAYS}
    results["evaluated"] = {way: evaluated(way, **options) for way in EVALUATED}
    for mistake, ways in MISTAKES.items():
        with mistaken(mistake):
            results |= {f"{way}, {mistake}": trained(way, **options) for way in ways}
    torch.save(results, folder / f"{rank}.pt")
