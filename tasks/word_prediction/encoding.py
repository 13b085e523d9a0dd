"""A text as numbers: words numbered by how frequent they are, "<eos>" at the end of each line. No torch in here.

Tokens and their order are those of TensorFlow's tutorial on the Penn Treebank.
"""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from repro.errors import UserError
from tasks.word_prediction.data_location import SPLITS

END, UNKNOWN = "<eos>", "<unk>"

Tokens = np.ndarray[Any, np.dtype[np.int32]]
Lines = Mapping[str, Iterable[str]]  # the lines of each split, words between blanks


class Corpus(NamedTuple):
    """A text in three splits: "training", "validation", "test"."""

    label: str  # the data source, as figures name it: "Penn Treebank"
    words: tuple[str, ...]  # by number: the most frequent one of the training text is 0
    splits: Mapping[str, Tokens]  # the numbers of the words [token], int32

    @property
    def digest(self) -> str:
        """Sixteen hex digits that identify the text: a run is resumed only with the text that it began with."""
        sha256 = hashlib.sha256("\n".join(self.words).encode())
        for split in SPLITS:
            sha256.update(f"\n{split} {len(self.splits[split])}\n".encode() + self.splits[split].tobytes())
        return sha256.hexdigest()[:16]


def tokens(lines: Iterable[str]) -> list[str]:
    """The words of each line, and the mark of its end."""
    return [word for line in lines for word in (*line.split(), END)]


def encode(label: str, lines: Lines) -> Corpus:
    """A corpus of lines, its vocabulary the training text's.

    Raises UserError where another split has a word that the training text lacks, other than "<unk>".
    """
    texts = {split: tokens(lines[split]) for split in SPLITS}
    counts = Counter(texts["training"])
    if any(UNKNOWN in text for text in texts.values()):
        counts.setdefault(UNKNOWN, 0)
    words = tuple(sorted(counts, key=lambda word: (-counts[word], word)))
    number = {word: index for index, word in enumerate(words)}
    for split, text in texts.items():
        if new := set(text) - number.keys():
            raise UserError(f"the {split} text has {len(new)} words that the training text lacks, such as {min(new)!r}")
    arrays = {split: np.array([number[word] for word in text], dtype=np.int32) for split, text in texts.items()}
    return Corpus(label, words, arrays)


def read_plain(path: Path) -> bytes:
    """The bytes of a text, unpacked where its name ends in .gz. Raises UserError where that fails."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"cannot unpack {path}: {error}; wanted: a file that gzip packed, whole") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
