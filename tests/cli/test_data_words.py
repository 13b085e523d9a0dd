"""`repro data ptb|text`: from a server of the test's own; what is wrong leaves what was there before."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.cli.main import main
from tasks.word_prediction import command as data_words
from tasks.word_prediction import data_location, ptb
from tasks.word_prediction.corpus import corpus
from tasks.word_prediction.encoding import tokens

TREEBANK = {
    "ptb.train.txt": " the cat saw the <unk> \n a cat saw N dogs \n",
    "ptb.valid.txt": " the dogs saw a cat \n",
    "ptb.test.txt": " a <unk> saw N \n the cat \n",
}
BROKEN = "/cut"  # below it, the server breaks off in the middle of a file


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without printing; half of each file if the path asks for it."""

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        if not self.path.startswith(BROKEN):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"the beginning")


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder that the server has."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, text in TREEBANK.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def url(served: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address, which is the canonical one; its files are taken to be all of the Penn Treebank."""
    monkeypatch.delenv("PTB_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    for split, name in ptb.FILES.items():
        words = tokens(TREEBANK[name].splitlines())
        content = ptb.Content(len(words), len(set(words)), hashlib.sha256(TREEBANK[name].encode()).hexdigest())
        monkeypatch.setitem(ptb.WHOLE, split, content)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(data_words, "CANONICAL", address)
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, hidden or not."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def error(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    return said.err


def test_a_download_is_used_from_then_on(url: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "ptb"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert "free for research purposes" in first and "Never redistribute it" in first
    assert "train on it from now on" in last
    assert files(results / "data") == {f"ptb/{name}": text.encode() for name, text in TREEBANK.items()}
    assert list((results / "data").iterdir()) == [data_location.download_folder()]
    assert data_location.data_here() == {"corpus": "ptb"} and len(corpus("ptb").splits["test"]) == 8


def test_what_is_there_and_right_is_not_downloaded_again(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "ptb", "--from", f"{url}/"]) == 0
    assert main(["data", "ptb", "--from", f"{url}/nowhere"]) == 0
    assert "nothing to download" in capsys.readouterr().out
    (data_location.download_folder() / "ptb.test.txt").write_text("spoilt")
    assert main(["data", "ptb", "--from", f"{url}/nowhere"]) == 2, "the control: it would have looked there"
    assert main(["data", "ptb"]) == 0
    assert (data_location.download_folder() / "ptb.test.txt").read_text() == TREEBANK["ptb.test.txt"]


def test_ptb_dir_goes_first_and_is_said_to(
    url: str, served: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_DIR", str(served))
    assert main(["data", "ptb"]) == 0
    assert f"PTB_DIR is set and comes first: runs of the task word_prediction train on the text in {served}" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("spoilt", TREEBANK)
def test_a_file_that_is_another_is_not_kept(
    url: str, served: Path, results: Path, capsys: pytest.CaptureFixture[str], spoilt: str
) -> None:
    (served / spoilt).write_text(TREEBANK[spoilt].replace("cat", "cow"))
    assert main(["data", "ptb"]) == 2
    assert f"{url}/{spoilt} is not the Penn Treebank's {spoilt}: it has" in error(capsys)
    assert not (results / "data").exists()


def test_a_file_that_is_not_there(url: str, served: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (served / "ptb.test.txt").unlink()
    assert main(["data", "ptb"]) == 2
    assert f"cannot download {url}/ptb.test.txt: HTTP 404" in error(capsys)
    assert not (results / "data").exists()


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("{url}/cut", "it broke off after 13 of 1000 bytes; try again"),
        ("http://127.0.0.1:1", "Connection refused"),
        ("nonsense", "unknown url type"),
        ("http://two words", "URL can't contain control characters"),
    ],
)
def test_a_network_that_fails_is_one_sentence(
    url: str, results: Path, capsys: pytest.CaptureFixture[str], base: str, why: str
) -> None:
    assert main(["data", "ptb", "--from", base.format(url=url)]) == 2
    assert why in error(capsys)
    assert not (results / "data").exists()


def test_interrupted_it_leaves_nothing(
    url: str, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = data_words._download

    def download(address: str) -> bytes:
        if address.endswith("ptb.test.txt"):
            raise KeyboardInterrupt
        return whole(address)

    monkeypatch.setattr(data_words, "_download", download)
    assert main(["data", "ptb"]) == 130
    assert not (results / "data").exists()


def test_interrupted_while_it_writes_it_keeps_what_was_there(
    url: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_location.download_folder().mkdir(parents=True)
    (data_location.download_folder() / "ptb.test.txt").write_text("before")
    write = Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> Any:
        if path.name == "ptb.test.txt":
            raise KeyboardInterrupt
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert main(["data", "ptb"]) == 130
    assert files(results / "data") == {"ptb/ptb.test.txt": b"before"}


def written(folder: Path, lines: int, name: str = "own.txt") -> Path:
    """A text in which word k is there once, twice or three times."""
    path = folder / name
    path.write_text("".join(f"the  word{k % 7} is here\n\n" for k in range(lines)), encoding="utf-8-sig")
    return path


def test_one_file_is_split_by_lines(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "text", str(written(tmp_path, 40))]) == 0
    out = capsys.readouterr().out
    assert "180 training, 10 validation, 10 test tokens of 11 types" in out
    assert "train on it from now on" in out
    found = corpus("text")
    assert data_location.data_here() == {"corpus": "text"} and found.label.startswith("own text ")
    assert [found.words[k] for k in found.splits["training"][:5]] == ["the", "word0", "is", "here", "<eos>"]


def test_three_files_are_the_splits_and_replace_what_was_there(
    url: str, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "text", str(written(tmp_path, 40))]) == 0
    before = corpus("text").label
    three = [str(written(tmp_path, lines, f"{lines}.txt")) for lines in (30, 3, 4)]
    assert main(["data", "text", *three]) == 0
    assert [len(part) for part in corpus("text").splits.values()] == [150, 15, 20]
    assert corpus("text").label != before, "another text has another name"
    assert sorted(files(results / "data")) == ["text/test.txt", "text/training.txt", "text/validation.txt"]


def test_the_treebank_goes_before_an_own_text(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "ptb"]) == 0
    assert main(["data", "text", str(written(tmp_path, 40))]) == 0
    assert "--set corpus=text trains on this text" in capsys.readouterr().out
    assert data_location.data_here() == {"corpus": "ptb"}


def test_an_own_text_that_is_none(url: str, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short, long, empty = written(tmp_path, 19), written(tmp_path, 30, "long.txt"), written(tmp_path, 0, "empty.txt")
    (tmp_path / "binary").write_bytes(b"ab\xff")
    for words, sentence in (
        ([short], "has 19 lines of text; wanted: 20 or more"),
        ([short, long], "2 files; wanted: one, to be split, or three"),
        ([short, long, short], "would train, and is shorter than"),
        ([long, empty, short], "empty.txt has no words in it"),
        ([tmp_path / "binary"], "is not UTF-8 text: byte 2 is 0xff"),
        ([tmp_path / "missing"], "cannot read"),
        ([tmp_path], "Is a directory"),
        ([], "required: FILE"),
    ):
        assert main(["data", "text", *map(str, words)]) == 2
        assert sentence in error(capsys)
    assert not (results / "data").exists()
