"""`repro data timit|stand-in`: the speech of task 1.3, checked or made before anything trains on it."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from repro.errors import UserError
from repro.records.files import write_atomically
from repro.records.store import require_writable
from repro.text import LiveLines, duration, shown
from tasks.speech.config import TASK
from tasks.speech.corpus import RATE, Corpus, Utterance, count_samples, find_utterances, read_phones
from tasks.speech.source import REMEMBERED, data_folder
from tasks.speech.timit import timit


def add(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    about = "Check all of TIMIT, and train on it from now on (where TIMIT_DIR is set, it goes first)."
    timit = sources.add_parser("timit", description=about, allow_abbrev=False)
    timit.add_argument("folder", metavar="DIR", type=Path, help="the folder with TRAIN and TEST; or NLTK's sample")
    timit.set_defaults(parser=timit, make=_timit)
    about = "Make the synthesised speech that stands in for TIMIT now, and not when a run needs it."
    stand_in = sources.add_parser("stand-in", description=about, allow_abbrev=False)
    stand_in.add_argument(
        "--size",
        metavar="SIZE",
        default="quick",
        help="utterances to train, validate and test, such as 1184,128,128, or a profile (default: quick)",
    )
    stand_in.set_defaults(parser=stand_in, make=_stand_in)


def _timit(args: argparse.Namespace) -> None:
    """Remembers the folder only when every file in it is as it should be."""
    into = require_writable(data_folder())
    corpus = timit(args.folder)
    utterances = find_utterances(args.folder)
    length = duration(_seconds_of_audio(utterances))
    speakers = len({utterance.speaker for utterance in utterances})
    print(f"{corpus.label} in {args.folder}: {speakers} speakers, {len(utterances)} utterances, {length}, no fault")
    print(f"split by speakers: {_sizes(corpus)}; sentences SA1 and SA2, which all read, are left out")
    if corpus.label != "TIMIT":
        settings = " ".join(f"--set {split}_utterances={len(there)}" for split, there in corpus.splits.items())
        print(f"that is a taste, not the paper's data: its sizes are {settings}")
    into.mkdir(parents=True, exist_ok=True)
    write_atomically(into / REMEMBERED, f"{args.folder.resolve()}\n".encode())
    print(f"runs of the task speech train on it from now on ({shown(into / REMEMBERED)})")


def _seconds_of_audio(utterances: Sequence[Utterance]) -> float:
    """Seconds of audio in all. Raises UserError for the first file in which anything is wrong."""
    line, samples = LiveLines(), 0
    for done, utterance in enumerate(utterances):
        if done % 100 == 0:
            line.show(f"checked {done} of {len(utterances)} utterances")
        here = count_samples(utterance.audio)
        read_phones(utterance.phones, here)
        samples += here
    line.clear()
    return samples / RATE


def _stand_in(args: argparse.Namespace) -> None:
    from tasks.speech.stand_in import stand_in

    require_writable(data_folder())
    corpus = stand_in(*_parse_size(args.size))
    print(f"{corpus.label} in {shown(corpus.root)}: {_sizes(corpus)}")


def _parse_size(text: str) -> tuple[int, int, int]:
    """Utterances to train, validate and test on. Raises UserError."""
    if re.fullmatch(r"[0-9]{1,6}(,[0-9]{1,6}){2}", text):
        train, validation, test = map(int, text.split(","))
        if not min(train, validation, test):
            raise UserError(f"--size {text}: every split wants at least one utterance")
        return train, validation, test
    if text not in TASK.profiles:
        known = ", ".join(TASK.profiles)
        raise UserError(f"--size {text}: wants three numbers such as 1184,128,128, or a profile: {known}")
    config = TASK.resolve("e_prop_1", text)
    return config.train_utterances, config.validation_utterances, config.test_utterances


def _sizes(corpus: Corpus) -> str:
    return ", ".join(f"{len(there)} {split}" for split, there in corpus.splits.items())
