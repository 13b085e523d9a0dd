"""Any text in the Penn Treebank's place: split, cut to as many types, kept as three plain files. No torch in here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from repro.errors import UserError
from repro.records.files import decoded
from tasks.word_prediction.data_location import SPLITS, digest_of
from tasks.word_prediction.encoding import END, UNKNOWN, Corpus, encode, read_plain

MARKS = (UNKNOWN, END)
MOST_TYPES = 10_000  # of the Penn Treebank, the marks among them
HELD_OUT = 20  # one line in so many for validation, and as many for the test


def own_text(folder: Path) -> Corpus:
    """The text that was prepared there. Raises UserError where there is none, or a part of it is missing."""
    if not folder.is_dir():
        raise UserError("corpus=text, and no text was prepared: run `repro data text FILE` with one of yours once")
    parts = {split: read_plain(folder / f"{split}.txt") for split in SPLITS}
    lines = {split: decoded(data, folder / f"{split}.txt").splitlines() for split, data in parts.items()}
    return encode(f"own text {digest_of(parts.values())}", lines)


def prepare(files: Sequence[Path]) -> dict[str, bytes]:
    """The files (name -> content) of a prepared text: one to be split, or those of training, validation and test.

    Words are what lies between blanks; empty lines are left out.

    Raises UserError for another number of files, one that is not UTF-8 text or has too few lines, and for three of
    which the first is not the longest.
    """
    if len(files) not in (1, 3):
        raise UserError(f"{len(files)} files; wanted: one, to be split, or three: training, validation, test")
    texts = [_lines(path) for path in files]
    parts = split(texts[0], files[0]) if len(files) == 1 else _in_order(texts, files)
    return {f"{name}.txt": "".join(f"{line}\n" for line in lines).encode() for name, lines in cut(parts).items()}


def _lines(path: Path) -> list[str]:
    text = decoded(read_plain(path), path, "utf-8-sig")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _in_order(texts: Sequence[list[str]], files: Sequence[Path]) -> dict[str, list[str]]:
    for path, lines in zip(files, texts, strict=True):
        if not lines:
            raise UserError(f"{path} has no words in it")
        if len(lines) > len(texts[0]):  # a pattern of the shell sorts by name: test, train, valid
            raise UserError(
                f"{files[0]} would train, and is shorter than {path}: {len(texts[0])} lines and {len(lines)}; "
                "wanted: training, validation, test in this order"
            )
    return dict(zip(SPLITS, texts, strict=True))


def split(lines: list[str], where: Path | str) -> dict[str, list[str]]:
    """Lines in their order: the first 90 % to train on, then 5 % each to validate and to test.

    Raises UserError for too few, naming `where` they were.
    """
    held = len(lines) // HELD_OUT
    if not held:
        raise UserError(f"{where} has {len(lines)} lines of text; wanted: {HELD_OUT} or more, to split it by lines")
    return dict(zip(SPLITS, (lines[: -2 * held], lines[-2 * held : -held], lines[-held:]), strict=True))


def cut(parts: Mapping[str, Sequence[str]], most: int = MOST_TYPES) -> dict[str, list[str]]:
    """The same lines with "<unk>" for words outside the vocabulary: the `most` frequent types of the training text.

    Words that the training text has once are left out too, or nothing in it would show what "<unk>" means; where it
    has "<unk>" already, they stay.
    """
    counts = Counter(word for line in parts["training"] for word in line.split())
    least = 1 if UNKNOWN in counts else 2
    often = [word for word, count in counts.items() if count >= least and word not in MARKS]
    known = {*MARKS, *sorted(often, key=lambda word: (-counts[word], word))[: most - len(MARKS)]}
    return {
        name: [" ".join(word if word in known else UNKNOWN for word in line.split()) for line in lines]
        for name, lines in parts.items()
    }
