"""A folder laid out as TIMIT -> utterances, their audio and their phones, with hard checks. No torch in here.

    DIR/TRAIN/DR1/FCJF0/SX37.WAV   16 kHz, mono, 16 bit: SPHERE (as the LDC ships it) or RIFF
    DIR/TRAIN/DR1/FCJF0/SX37.PHN   "0 2240 h#" a line: first sample, sample after the last, one of the 61 symbols

Upper or lower case, below any folders. NLTK's sample has dr1-fvmh0/sa1.wav and no train or test.
"""

import itertools
import os
import re
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from repro.errors import UserError, unknown
from tasks.speech.phones import INDEX, PHONES

RATE = 16_000  # samples/s
SLACK = 160  # samples, 10 ms: labels may end so far beyond the audio; no frame's centre lies there
LAYOUT = re.compile(r"(?:^|/)((?:(?:train|test)/dr\d/|dr\d-)(\w+)/(\w+))\.wav$")
HEADER = 1024  # bytes of a SPHERE header; its second line has this number


class Utterance(NamedTuple):
    """One sentence by one speaker."""

    name: str  # "train/dr1/fcjf0/sx37", lower case
    speaker: str  # "fcjf0"
    sentence: str  # "sx37"; sa1 and sa2 are read by every speaker
    audio: Path
    phones: Path


class Corpus(NamedTuple):
    """Utterances in three splits: "train", "validation", "test"."""

    label: str  # the data source, as figures name it: "TIMIT"
    root: Path
    splits: Mapping[str, tuple[Utterance, ...]]


class PhoneSegment(NamedTuple):
    """One phone: samples start, ..., end - 1."""

    start: int
    end: int
    phone: str


def find_utterances(root: Path) -> list[Utterance]:
    """Every utterance at or below a folder, sorted by name; files elsewhere in the tree are passed over.

    Raises UserError where there is no such folder or no utterance in it, for a .WAV without its .PHN, and for an
    utterance that is there twice.
    """
    if not root.is_dir():
        raise UserError(f"no folder {root}; wanted: one with TRAIN/DR1/FCJF0/SX37.WAV and its like below it")
    found: dict[str, Utterance] = {}
    alone: list[Path] = []
    for audio, phones in _recordings(root):
        match = LAYOUT.search(audio.relative_to(root).as_posix().lower())
        if not match:
            continue
        name, speaker, sentence = match.groups()
        if phones is None:
            alone.append(audio)
        elif name in found:
            raise UserError(
                f"{name} is in {root} twice: {found[name].audio} and {audio}; wanted: one copy of the corpus"
            )
        else:
            found[name] = Utterance(name, speaker, sentence, audio, phones)
    if alone:
        raise UserError(f"{len(alone)} of {len(alone) + len(found)} .WAV without their .PHN, such as {min(alone)}")
    if not found:
        raise UserError(f"no utterance in {root}; wanted: TRAIN/DR1/FCJF0/SX37.WAV and its like below it")
    return [found[name] for name in sorted(found)]


def _recordings(root: Path) -> Iterator[tuple[Path, Path | None]]:
    for folder, _, names in os.walk(root, followlinks=True):
        lower = {name.lower(): Path(folder, name) for name in names}
        yield from ((path, lower.get(f"{name[:-4]}.phn")) for name, path in lower.items() if name.endswith(".wav"))


def count_samples(path: Path) -> int:
    """Samples in an audio file, by its header and its size alone.

    Raises UserError where it cannot be read, is not 16 kHz, mono and 16 bit, or is shorter than its header states.
    """
    try:
        info = soundfile.info(path)
        promised = _promised(path, info.format)
    except (soundfile.LibsndfileError, wave.Error, EOFError) as error:
        why = str(getattr(error, "error_string", error)).rstrip(".")
        raise UserError(
            f"cannot read {path}: {why}; wanted: SPHERE without compression (sph2pipe undoes it) or RIFF"
        ) from error
    if info.samplerate != RATE:
        raise UserError(f"{path} has {info.samplerate} samples/s; wanted: {RATE}")
    if info.channels != 1:
        raise UserError(f"{path} has {info.channels} channels; wanted: 1")
    if info.subtype != "PCM_16":
        raise UserError(f"{path} holds samples of {info.subtype_info}; wanted: 16 bit PCM")
    if info.frames < promised:
        raise UserError(f"{path} is truncated: {info.frames} samples of the {promised} in its header")
    return promised


def _promised(path: Path, form: str) -> int:
    """The number of samples in the header; libsndfile counts those in the file."""
    if form != "NIST":
        with wave.open(str(path)) as riff:
            return riff.getnframes()
    with path.open("rb") as sphere:
        header = sphere.read(HEADER).decode("latin-1")
    count = re.search(r"^sample_count -i (\d+)", header, re.MULTILINE)
    if not count:
        raise UserError(f"{path} has no sample_count in its SPHERE header")
    return int(count[1])


def read_audio(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The audio [sample] in [-1, 1], float32, 16 kHz. Raises UserError as count_samples."""
    samples: np.ndarray[Any, np.dtype[np.float32]] = soundfile.read(path, count_samples(path), dtype="float32")[0]
    return samples


def read_phones(path: Path, samples: int) -> list[PhoneSegment]:
    """The phones of an utterance with so many samples of audio, each beginning where the one before ends.

    TIMIT's last segment often ends some ms before the audio does. So audio without a label at either end is no error
    (it makes no frames, see tasks.speech.features), and labels may end up to 10 ms beyond it, where no frame is.

    Raises UserError for a line that is not "start end symbol", an unknown symbol, a gap or an overlap, and audio
    shorter than the labels.
    """
    segments = [
        _segment(path, number, line)
        for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1)
        if line.strip()
    ]
    if not segments:
        raise UserError(f"{path} is empty; wanted: lines such as '0 2240 h#'")
    for before, after in itertools.pairwise(segments):
        if before.end != after.start:
            what = "a gap" if before.end < after.start else "an overlap"
            raise UserError(
                f"{path} has {what} between {before.phone}, which ends at sample {before.end}, "
                f"and {after.phone}, which begins at {after.start}"
            )
    if segments[-1].end > samples + SLACK:
        raise UserError(f"{path} has labels up to sample {segments[-1].end}, but its audio is truncated at {samples}")
    return segments


def _segment(path: Path, number: int, line: str) -> PhoneSegment:
    match = re.fullmatch(r"\s*(\d+)\s+(\d+)\s+(\S+)\s*", line)
    if not match or int(match[2]) < int(match[1]):
        raise UserError(f"{path}, line {number}: {line.strip()!r}; wanted: start, end and symbol, such as '0 2240 h#'")
    if match[3] not in INDEX:
        raise UserError(f"{path}, line {number}: {unknown('phone', match[3], PHONES)}")
    return PhoneSegment(int(match[1]), int(match[2]), match[3])
