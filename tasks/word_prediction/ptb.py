"""The Penn Treebank as Mikolov prepared it, which is what language models are compared on. No torch in here.

Its text is that of the Wall Street Journal of 1989, for research alone: users bring it, or download it.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from repro.errors import UserError
from tasks.word_prediction.encoding import Corpus, encode, read_plain, tokens

FILES = {"training": "ptb.train.txt", "validation": "ptb.valid.txt", "test": "ptb.test.txt"}
LICENCE = (
    "The text is (c) Dow Jones, prepared by T. Mikolov from the Penn Treebank (LDC99T42): free for research purposes, "
    "under no open licence. Never redistribute it, nor commit it anywhere."
)


class Content(NamedTuple):
    """What a file holds: tokens with <eos>, types among them, the SHA-256 of the plain text."""

    tokens: int
    types: int
    sha256: str


WHOLE = {
    "training": Content(929_589, 10_000, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
    "validation": Content(73_760, 6_022, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
    "test": Content(82_430, 6_049, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
}


def ptb(folder: Path) -> Corpus:
    """The Penn Treebank in a folder, each file plain or as .gz.

    Raises UserError where the folder or a file is missing, and where one is not Mikolov's to the last byte.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; wanted: one with {', '.join(FILES.values())}, plain or .gz")
    paths = {split: _find(folder, name) for split, name in FILES.items()}
    return encode("Penn Treebank", {split: check(split, read_plain(path), path) for split, path in paths.items()})


def _find(folder: Path, name: str) -> Path:
    there = [path for path in (folder / name, folder / f"{name}.gz") if path.exists()]
    if not there:
        raise UserError(f"no {name} in {folder}, plain or .gz; wanted: {', '.join(FILES.values())}")
    return there[0]


def check(split: str, data: bytes, where: Path | str) -> list[str]:
    """The lines of a split's plain text. Raises UserError where it is not Mikolov's, naming `where` it was."""
    lines = data.decode(errors="replace").splitlines()
    words = tokens(lines)
    read = Content(len(words), len(set(words)), hashlib.sha256(data).hexdigest())
    wanted = WHOLE[split]
    if read != wanted:
        raise UserError(
            f"{where} is not the Penn Treebank's {FILES[split]}: it has {_described(read)}; "
            f"wanted: {_described(wanted)}"
        )
    return lines


def _described(content: Content) -> str:
    return f"{content.tokens} tokens of {content.types} types, SHA-256 {content.sha256[:16]}"
