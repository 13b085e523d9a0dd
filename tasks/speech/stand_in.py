"""Synthesised speech in TIMIT's place: where it lies, its voices, its splits; made where it is missing.

    DATA/stand_in-1-espeakng-loader-0.2.4/train-1184/TRAIN/DR1/FANN0/SX2.WAV .PHN .TXT

Whole voices and whole sentences are held out. It is easier than TIMIT, and no accuracy on it is comparable with one
on TIMIT. A split is made by one fresh helper process (tasks.speech.synthesis) in a fixed order, in a temporary folder
that gets its name at the end: what bears the name is whole.
"""

import contextlib
import fcntl
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from repro.errors import UserError
from tasks.speech import sentences
from tasks.speech.corpus import Corpus, Utterance, find_utterances
from tasks.speech.source import data_folder

PACKAGE = "espeakng_loader"
LABEL = "synthesised speech (espeak-ng 1.52)"
RECIPE = 1  # goes up with every change of a sentence, label or sound; in every record by tasks.speech.config


class Voice(NamedTuple):
    """A speaker: a variant of espeak-ng's US English."""

    speaker: str  # as TIMIT names them: F or M first
    variant: str
    rate: int  # words/min
    pitch: int  # 0 .. 99; 50 is the variant's own
    range: int  # 0 .. 99, of pitch


VOICES = {
    "train": (
        Voice("FONE0", "f1", 180, 50, 50),
        Voice("MTRE0", "m3", 190, 50, 50),
        Voice("FANN0", "Annie", 170, 45, 40),
        Voice("MONE0", "m1", 175, 40, 60),
        Voice("FNKA0", "anika", 200, 30, 40),
        Voice("MFOU0", "m4", 205, 55, 70),
        Voice("FBLN0", "belinda", 185, 40, 50),
        Voice("MSIX0", "m6", 165, 60, 45),
        Voice("FAND0", "Andrea", 195, 35, 60),
        Voice("MRBT0", "robert", 185, 50, 55),
        Voice("FGMA0", "grandma", 160, 50, 50),
        Voice("MVIC0", "victor", 200, 45, 40),
        Voice("FSTE0", "steph", 175, 55, 60),
        Voice("MDEN0", "Denis", 170, 55, 50),
    ),
    "validation": (
        Voice("FAUN0", "aunty", 180, 40, 50),
        Voice("MSEV0", "m7", 185, 50, 50),
        Voice("MGEN0", "Gene", 195, 60, 45),
    ),
    "test": (
        Voice("FSHE0", "shelby", 175, 50, 50),
        Voice("MALX0", "Alex", 190, 45, 55),
        Voice("FLIN0", "linda", 195, 35, 45),
    ),
}
PART = {"train": "TRAIN", "validation": "TEST", "test": "TEST"}  # of TIMIT, as where its validation speakers are


def stand_in(train: int, validation: int, test: int) -> Corpus:
    """So many synthesised utterances in each split, made where they are not there.

    Raises UserError where the speech synthesiser is not installed, and where more sentences are asked for than there
    are.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(
            "neither TIMIT nor the package that synthesises speech in its place is here: "
            "`pip install espeakng-loader`, or set TIMIT_DIR to TIMIT's folder"
        )
    root = data_folder() / f"stand_in-{key()}"
    sizes = {"train": train, "validation": validation, "test": test}
    return Corpus(LABEL, root, {split: _split(root, split, size) for split, size in sizes.items()})


def key() -> str:
    """Versions that determine the contents of a split of a given size: of the recipe and of espeak-ng."""
    return f"{RECIPE}-espeakng-loader-{importlib.metadata.version(PACKAGE)}"


def orders(split: str, size: int) -> list[dict[str, str | int]]:
    """The helper process's utterances in order: the voices take turns, and no two have the same sentence."""
    texts = sentences.sentences(split, size)
    voices = [VOICES[split][number % len(VOICES[split])] for number in range(size)]
    return [
        {"stem": f"{PART[split]}/DR1/{voice.speaker}/SX{number}", "text": text}
        | {word: value for word, value in voice._asdict().items() if word != "speaker"}
        for number, (voice, text) in enumerate(zip(voices, texts, strict=True), 1)
    ]


def _split(root: Path, split: str, size: int) -> tuple[Utterance, ...]:
    folder = root / f"{split}-{size}"
    if not folder.is_dir():
        wanted = orders(split, size)
        with _alone(root):
            if not folder.is_dir():
                _make(folder, wanted, f"synthesising {split}")
    return tuple(find_utterances(folder))


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Makes the folder and waits until no other process is at work in it; what killed ones left is removed."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for remains in root.glob(".making-*"):
            shutil.rmtree(remains)
        yield


def _make(folder: Path, wanted: list[dict[str, str | int]], what: str) -> None:
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        speak(making, wanted, what)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def speak(folder: Path, wanted: list[dict[str, str | int]], what: str) -> None:
    """A helper process writes the utterances into the folder. Raises UserError with its message where it failed."""
    with tempfile.TemporaryFile("w+") as lines, tempfile.TemporaryFile("w+") as errors:
        lines.writelines(json.dumps(order) + "\n" for order in wanted)
        lines.seek(0)
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        with subprocess.Popen(
            [sys.executable, "-m", "tasks.speech.synthesis"],
            stdin=lines,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            text=True,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        ) as helper:
            assert helper.stdout is not None
            if not sys.stderr.isatty():
                print(f"{what}: {len(wanted)} utterances, once", file=sys.stderr, flush=True)
            done = sum(1 for _ in tqdm(helper.stdout, what, len(wanted), disable=None, leave=False))
        if helper.returncode or done != len(wanted):
            errors.seek(0)
            why = (errors.read().strip().splitlines() or [f"it ended with {helper.returncode}"])[-1]
            raise UserError(f"the helper process that synthesises speech stopped after {done} of {len(wanted)}: {why}")
