"""Texts use plain words: none of a short list that nobody in the field uses for what is meant here."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.documents.blocks import ROOT

PLAIN = {  # a word that is not to be used: what to write
    r"hears?|heard|hearing": "receives",
    r"tells?|told|telling|says?|said|saying|speaks? of|spoke of": "states, prints, returns",
    r"taught": "trained",
    r"crew": "workers",
    r"front door": "command line",
    r"walk(?:s|ed|ing)?": "passes through, a path",
    r"nobody|whoever": "name the program or the person",
    r"go(?:es)? on|went on|going on": "continues, resumes",
    r"(?:get|gets|got) there|(?:is|are) there yet": "reaches 5 %, solves the task; finished",
    r"falls? apart": "differs",
}
BANNED = re.compile(rf"\b(?:{'|'.join(PLAIN)})\b", re.IGNORECASE)
DATA = ("tasks/speech/sentences.py",)  # the words that are synthesised
FOLDERS = ("repro", "tasks", "paper_figures", "benchmarks", "examples", "sweeps", "docs")
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "CITATION.cff",
    ROOT / "Makefile",
    *ROOT.glob("*.toml"),
]
FILES = [
    path for folder in FOLDERS for suffix in ("py", "toml", "ipynb") for path in (ROOT / folder).rglob(f"*.{suffix}")
]


def of_python(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, other texts and comments, by line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def of_notebook(source: str) -> Iterator[tuple[int, str]]:
    """Cells, counted from 1."""
    for number, cell in enumerate(json.loads(source)["cells"], 1):
        yield number, "".join(cell["source"])


def of_page(source: str) -> Iterator[tuple[int, str]]:
    """Lines, without what stands in backquotes: names of other programs' functions."""
    for number, line in enumerate(source.splitlines(), 1):
        yield number, re.sub(r"`[^`]*`", "", line)


def banned(path: Path, source: str) -> list[str]:
    """Where the words of the list occur, and what to write instead."""
    texts = {".py": of_python, ".ipynb": of_notebook}.get(path.suffix, of_page)(source)
    found = [(line, word) for line, text in texts for word in BANNED.findall(text)]
    return [f"{path}:{line}: {word!r}; better: {better(word)}" for line, word in found]


def better(word: str) -> str:
    return next(plain for pattern, plain in PLAIN.items() if re.fullmatch(pattern, word, re.IGNORECASE))


def test_the_words_are_plain() -> None:
    paths = {path.relative_to(ROOT): path for path in (*PAGES, *FILES) if str(path.relative_to(ROOT)) not in DATA}
    assert len(paths) > 300
    assert not [line for name, path in paths.items() for line in banned(name, path.read_text(encoding="utf-8"))]


def test_control_the_words_are_seen() -> None:
    assert banned(Path("a.py"), '"""The neuron hears\nthe error."""') == ["a.py:1: 'hears'; better: receives"]
    assert len(banned(Path("a.py"), "x = 1  # it goes on\nraise E(f'{x} is told')")) == 2
    assert len(banned(Path("a.md"), "The paper says so.\nNobody knows; `tell` is a name.")) == 2
    assert len(banned(Path("a.ipynb"), json.dumps({"cells": [{"source": ["It ", "walks."]}]}))) == 1
    assert not banned(Path("a.py"), "say = told = 1  # essays, foretells, walkers: names and other words")
