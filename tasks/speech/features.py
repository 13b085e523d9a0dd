"""Audio and phones -> frames and labels of task 1.3, made once and kept.

13 MFCCs of a 25 ms window every 10 ms, and their first and second derivatives: 39 channels, each scaled by the
training set. Frame k is centred on sample 160 k, and its label is the phone at that sample.
"""

import hashlib
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.errors import UserError
from tasks.speech.corpus import RATE, Corpus, PhoneSegment, Utterance, read_audio, read_phones
from tasks.speech.phones import INDEX
from tasks.speech.source import data_folder

COEFFICIENTS = 13  # Speech recognition task 1.3
WINDOW, HOP = 400, 160  # samples: 25 ms and 10 ms, the same
CHANNELS = 3 * COEFFICIENTS
# The text leaves the rest open: torchaudio's defaults, but for these.
N_FFT = 512  # the power of two at or above the window, which is padded with zeros
MEL_FILTERS = 40  # from 0 to 8 kHz; more would leave some of the lowest without a bin of the FFT
LOG = True  # of power + 1e-6, which is that of noise of two to three 16 bit steps: digital silence is no outlier
DELTA_FRAMES = 3  # (f(t + 1) - f(t - 1)) / 2: the authors' difference, whose factor the scaling takes out
VERSION = 1  # of this file: another number makes all features anew
MANY = 200  # utterances: making as many or more is announced

Array = np.ndarray[Any, Any]


class Features(NamedTuple):
    """One split, an entry per utterance."""

    names: tuple[str, ...]
    frames: list[Tensor]  # each [frame, 39], float32, scaled
    labels: list[Tensor]  # each [frame], int64: classes of tasks.speech.phones


def prepared(corpus: Corpus, scaling: str, sizes: Mapping[str, int]) -> dict[str, Features]:
    """The features of every split in `sizes`, a map from split to number of utterances; "train" is always one of them.

    A larger split is cut to a fixed pseudo-random subset before anything is read; smaller subsets lie within larger
    ones. `scaling`: "min_max" maps each channel's minimum and maximum over the training set to 0 and 1 (other splits
    may leave that range, and are left so); "z_score" gives it mean 0 and variance 1 over the training set.

    Kept in the data folder under a hash of the utterances' names, their files' sizes and times, and the settings.

    Raises UserError for a split with too few utterances, and what tasks.speech.corpus finds wrong in a file.
    """
    chosen = {split: _subset(corpus, split, size) for split, size in sizes.items()}
    path = data_folder() / f"features-{_fingerprint(chosen, scaling)}.npz"
    arrays = _load(path)
    if arrays is None:
        arrays = _scaled(_extract(chosen), scaling)
        _save(path, arrays)
    return {split: _features(utterances, arrays, split) for split, utterances in chosen.items()}


def _subset(corpus: Corpus, split: str, size: int) -> tuple[Utterance, ...]:
    there = corpus.splits[split]
    if len(there) < size:
        raise UserError(
            f"{corpus.label} in {corpus.root} has {len(there)} {split} utterances: fewer than {split}_utterances={size}"
        )
    wanted = {u.name for u in sorted(there, key=lambda u: hashlib.sha256(u.name.encode()).digest())[:size]}
    return tuple(utterance for utterance in there if utterance.name in wanted)


def _fingerprint(chosen: Mapping[str, Sequence[Utterance]], scaling: str) -> str:
    settings = [VERSION, scaling, COEFFICIENTS, WINDOW, HOP, N_FFT, MEL_FILTERS, LOG, DELTA_FRAMES]
    files = {split: [(u.name, _stat(u.audio), _stat(u.phones)) for u in chosen[split]] for split in sorted(chosen)}
    return hashlib.sha256(json.dumps([settings, files]).encode()).hexdigest()[:16]


def _stat(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _extract(chosen: Mapping[str, Sequence[Utterance]]) -> dict[str, Array]:
    """Unscaled: SPLIT_frames [all frames, 39], SPLIT_labels [all frames], SPLIT_lengths [utterance]."""
    total, done = sum(map(len, chosen.values())), 0
    if total >= MANY:
        print(f"making the features of {total} utterances, once", file=sys.stderr, flush=True)
    transform, arrays = mfcc(), {}
    for split, utterances in chosen.items():
        frames, labels = [], []
        for utterance in utterances:
            values, classes = _frames(utterance, transform)
            frames.append(values)
            labels.append(classes)
            done += 1
            if total >= MANY and done % 100 == 0 and sys.stderr.isatty():
                print(f"\r\x1b[K{done} of {total}", end="\r", file=sys.stderr, flush=True)
        arrays[f"{split}_frames"] = np.concatenate(frames)
        arrays[f"{split}_labels"] = np.concatenate(labels).astype(np.uint8)
        arrays[f"{split}_lengths"] = np.array([len(classes) for classes in labels])
    return arrays


def mfcc() -> Callable[[Tensor], Tensor]:
    """Audio [sample] -> coefficients [13, frame], frame k centred on sample 160 k, for 1 + samples // 160 frames."""
    import torchaudio  # slow to import, and needed only where features are made

    mel = {"n_fft": N_FFT, "win_length": WINDOW, "hop_length": HOP, "n_mels": MEL_FILTERS, "center": True}
    transform: Callable[[Tensor], Tensor] = torchaudio.transforms.MFCC(
        RATE, n_mfcc=COEFFICIENTS, log_mels=LOG, melkwargs=mel
    )
    return transform


def _frames(utterance: Utterance, transform: Callable[[Tensor], Tensor]) -> tuple[Array, Array]:
    """Unscaled frames [frame, 39] and their labels [frame]; frames beyond the labels are cut off."""
    from torchaudio.functional import compute_deltas

    audio = read_audio(utterance.audio)
    segments = read_phones(utterance.phones, len(audio))
    if len(audio) < WINDOW:
        raise UserError(f"{utterance.audio} has {len(audio)} samples; wanted: at least one window of {WINDOW}")
    values = transform(torch.from_numpy(audio))
    first = compute_deltas(values, DELTA_FRAMES)
    channels = torch.cat([values, first, compute_deltas(first, DELTA_FRAMES)])
    inside, classes = label_frames(segments, channels.shape[1])
    if not classes.size:
        raise UserError(f"{utterance.phones} labels no frame: it ends at sample {segments[-1].end}")
    return channels.T.numpy()[inside], classes


def label_frames(segments: Sequence[PhoneSegment], frames: int) -> tuple[slice, Array]:
    """Which of an utterance's frames have a label, and these labels: the phone at each frame's centre sample."""
    centres = HOP * np.arange(frames)
    inside = slice(*np.searchsorted(centres, (segments[0].start, segments[-1].end)))
    at = np.searchsorted([segment.end for segment in segments], centres[inside], side="right")
    return inside, np.array([INDEX[segment.phone] for segment in segments])[at]


def _scaled(arrays: dict[str, Array], scaling: str) -> dict[str, Array]:
    train = arrays["train_frames"]
    if scaling == "min_max":
        shift = train.min(axis=0)
        width = train.max(axis=0) - shift
    else:
        shift = train.mean(axis=0, dtype=np.float64).astype(np.float32)
        width = train.std(axis=0, dtype=np.float64).astype(np.float32)
    width[width == 0] = 1.0  # a channel that never changes: all 0
    for key in arrays:
        if key.endswith("_frames"):
            arrays[key] = (arrays[key] - shift) / width
    return arrays


def _features(utterances: Iterable[Utterance], arrays: Mapping[str, Array], split: str) -> Features:
    lengths = arrays[f"{split}_lengths"].tolist()
    frames = torch.from_numpy(arrays[f"{split}_frames"]).split(lengths)
    labels = torch.from_numpy(arrays[f"{split}_labels"]).long().split(lengths)
    return Features(tuple(utterance.name for utterance in utterances), list(frames), list(labels))


def _load(path: Path) -> dict[str, Array] | None:
    """What was kept, or None; a file that cannot be read is made anew."""
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return None


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write the file whole or not at all, under a name of this process until then: workers may meet here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
