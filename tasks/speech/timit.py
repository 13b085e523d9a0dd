"""TIMIT and its split by Halberstadt, as Speech recognition task 1.3 asks. No torch in here.

Every speaker of TRAIN, and of TEST the 50 and 24 of timit_speakers.toml, without the two SA sentences that all
speakers read: 3696, 400 and 192 utterances.

NLTK's sample of TIMIT (160 utterances, all from training speakers) is taken too, under a separate label: its last
four speakers are held out.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from repro.errors import UserError
from tasks.speech.corpus import Corpus, Utterance, find_utterances

SPEAKERS = Path(__file__).with_name("timit_speakers.toml")
READ_BY_ALL = ("sa1", "sa2")
HELD_OUT = 2  # of the sample's speakers, for validation and as many for the test


class Counts(NamedTuple):
    """How much of everything there is: the speakers and utterances of the whole, the utterances of the splits."""

    speakers: int
    utterances: int
    train: int
    validation: int
    test: int


WHOLE = Counts(630, 6300, 3696, 400, 192)
SAMPLE = Counts(16, 160, 96, 16, 16)


def timit(root: Path, wanted: Counts | None = None) -> Corpus:
    """TIMIT in a folder, split. Files are looked for, not into: each is checked where it is read.

    `wanted` defaults to what TIMIT has, or NLTK's sample where that is what the folder holds.

    Raises UserError where the folder or an utterance's phones are missing, where a speaker is in TRAIN and in TEST, and
    where a number is not the wanted one.
    """
    utterances = find_utterances(root)
    sample = not any(_part(utterance) in ("train", "test") for utterance in utterances)
    label, splits = ("NLTK's sample of TIMIT", _sampled(utterances)) if sample else ("TIMIT", _halberstadt(utterances))
    counts = Counts(len({u.speaker for u in utterances}), len(utterances), *map(len, splits))
    _check(label, root, counts, wanted or (SAMPLE if sample else WHOLE))
    return Corpus(label, root, dict(zip(("train", "validation", "test"), map(tuple, splits), strict=True)))


def _part(utterance: Utterance) -> str:
    return utterance.name.partition("/")[0]


def _halberstadt(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """Training, validation, test. Raises UserError for a speaker in TRAIN and in TEST."""
    parts: dict[str, list[Utterance]] = {"train": [], "test": []}
    for utterance in utterances:
        parts.setdefault(_part(utterance), []).append(utterance)
    shared = {u.speaker for u in parts["train"]} & {u.speaker for u in parts["test"]}
    if shared:
        raise UserError(f"TRAIN and TEST share {len(shared)} of their speakers, such as {min(shared)}; wanted: none")
    lists = tomllib.loads(SPEAKERS.read_text(encoding="utf-8"))
    return [
        _own(parts["train"]),
        *(_own([u for u in parts["test"] if u.speaker in lists[split]]) for split in ("validation", "test")),
    ]


def _sampled(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """Training, validation, test, by speakers in the order of their folders."""
    speakers = list(dict.fromkeys(utterance.speaker for utterance in utterances))
    groups = speakers[: -2 * HELD_OUT], speakers[-2 * HELD_OUT : -HELD_OUT], speakers[-HELD_OUT:]
    return [_own([u for u in utterances if u.speaker in group]) for group in groups]


def _own(utterances: Sequence[Utterance]) -> list[Utterance]:
    return [utterance for utterance in utterances if utterance.sentence not in READ_BY_ALL]


def _check(label: str, root: Path, counts: Counts, wanted: Counts) -> None:
    if counts != wanted:
        raise UserError(f"{root} is not the whole of {label}: it has {_text(counts)}; wanted: {_text(wanted)}")


def _text(counts: Counts) -> str:
    return (
        f"{counts.speakers} speakers, {counts.utterances} utterances, of them {counts.train} to train, "
        f"{counts.validation} to validate and {counts.test} to test"
    )
