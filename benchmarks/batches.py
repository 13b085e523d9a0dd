"""Batches: speech that is made up, and some trials of any batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels.events import Held, SpikeTrains, spike_trains
from repro.runs.seeds import generator
from tasks.speech.config import SpeechConfig
from tasks.speech.data import SpeechBatch
from tasks.speech.features import CHANNELS
from tasks.speech.phones import PHONES


def noise(config: SpeechConfig, frames: int) -> SpeechBatch:
    """In place of speech, which costs the same and may not be here: noise in [0, 1], and a phone drawn for each frame.

    All utterances have as many `frames`.
    """
    random, size = generator(0, "noise in place of speech"), (config.batch_size, frames)
    features = torch.rand(*size, CHANNELS, generator=random)
    labels = torch.randint(len(PHONES), size, generator=random)
    lengths = torch.full(size[:1], frames * config.frame_steps)
    return SpeechBatch(Held(features, config.frame_steps), labels, lengths)


def doubled(batch: Any) -> Any:
    """The same in float64, whole numbers and spike trains as they are."""
    if isinstance(batch, Tensor) and batch.is_floating_point():
        return batch.double()
    if isinstance(batch, tuple) and not isinstance(batch, SpikeTrains):
        return type(batch)(*(doubled(part) for part in batch))
    return batch


def pick(batch: Any, trials: Sequence[int]) -> Any:
    """Some of the trials of a batch: its arrays are [batch, ...], and named tuples may hold them. Spikes of one trial
    are those of all."""
    if isinstance(batch, SpikeTrains):
        return batch if batch.batch == 1 else spike_trains(batch.dense()[list(trials)])
    if isinstance(batch, Tensor):
        return batch[list(trials)]
    return type(batch)(*(pick(part, trials) for part in batch)) if isinstance(batch, tuple) else batch
