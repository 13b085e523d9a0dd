"""`repro data`: TIMIT is checked as a whole before it is remembered; the stand-in is made in the size asked for."""

import sys
import types
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.errors import UserError
from tasks.speech import source, timit
from tasks.speech.corpus import Corpus, Utterance
from tests.tasks.miniature import MINIATURE, utterance, write


@pytest.fixture
def folder(tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature that is as large as TIMIT is taken to be."""
    monkeypatch.delenv("TIMIT_DIR", raising=False)
    monkeypatch.setattr(timit, "WHOLE", MINIATURE)
    return write(tmp_path / "timit")


def error(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_a_whole_corpus_is_remembered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert source.data_here() == {"corpus": "stand_in"}
    assert main(["data", "timit", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "6 speakers, 24 utterances, 12 s" in out
    assert "4 train, 4 validation, 2 test" in out
    assert source.timit_dir() == folder.resolve()
    assert source.data_here() == {"corpus": "timit"}


def test_timit_dir_goes_before_what_is_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["data", "timit", str(folder)]) == 0
    monkeypatch.setenv("TIMIT_DIR", "/elsewhere")
    assert source.timit_dir() == Path("/elsewhere")


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty: run `repro data timit"), (b"/\xff", "is not UTF-8 text")]
)
def test_what_is_remembered_is_damaged(folder: Path, content: bytes, sentence: str) -> None:
    assert main(["data", "timit", str(folder)]) == 0
    (source.data_folder() / source.REMEMBERED).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        source.data_here()


def test_a_path_from_here_is_remembered_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(["data", "timit", "timit"]) == 0
    assert source.timit_dir() == folder.resolve()


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ("TEST/DR1/FAEM9/SA1.PHN", "1 of 24 .WAV without their .PHN"),  # in no split, and looked at all the same
        ("TEST/DR1/FAEM9/SA1.WAV", "cannot read"),
    ],
)
def test_a_fault_anywhere_is_said_and_nothing_remembered(
    folder: Path, capsys: pytest.CaptureFixture[str], spoilt: str, sentence: str
) -> None:
    (folder / spoilt).unlink()
    if spoilt.endswith(".WAV"):
        (folder / spoilt).write_bytes(b"no audio")
    assert main(["data", "timit", str(folder)]) == 2
    assert sentence in error(capsys)
    assert source.timit_dir() is None


def test_too_little_is_no_timit(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timit, "WHOLE", MINIATURE._replace(speakers=7))
    assert main(["data", "timit", str(folder)]) == 2
    assert "it has 6 speakers, 24 utterances" in error(capsys)
    assert source.timit_dir() is None


def test_nltks_sample_says_with_which_sizes_it_trains(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timit, "SAMPLE", timit.Counts(5, 10, 1, 2, 2))
    for number in range(5):
        for sentence in ("sa1", "sx1"):
            utterance(tmp_path / f"sample/dr{number + 1}-fabc{number}", sentence, number, form="riff")
    assert main(["data", "timit", str(tmp_path / "sample")]) == 0
    out = capsys.readouterr().out
    assert "NLTK's sample of TIMIT" in out
    assert "--set train_utterances=1 --set validation_utterances=2 --set test_utterances=2" in out


def test_no_such_folder(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "timit", "/nowhere"]) == 2
    assert "no folder /nowhere" in error(capsys)
    assert not (results / "data").exists()


@pytest.fixture
def asked(results: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sizes that were asked of a stand-in that makes nothing."""
    sizes: list[tuple[int, ...]] = []

    def stand_in(*size: int) -> Corpus:
        sizes.append(size)
        one = Utterance("train/dr1/a/sx1", "a", "sx1", Path("a"), Path("b"))
        splits = {name: (one,) * n for name, n in zip(("train", "validation", "test"), size, strict=True)}
        return Corpus("speech", results, splits)

    module = types.ModuleType("tasks.speech.stand_in")
    module.stand_in = stand_in
    monkeypatch.setitem(sys.modules, "tasks.speech.stand_in", module)
    return sizes


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ([], (1184, 128, 128)),
        (["--size", "smoke"], (16, 4, 4)),
        (["--size", "paper"], (3696, 400, 192)),
        (["--size", "30,2,1"], (30, 2, 1)),
    ],
)
def test_the_stand_in_is_made_as_large_as_asked(
    asked: list[tuple[int, ...]], capsys: pytest.CaptureFixture[str], words: list[str], size: tuple[int, ...]
) -> None:
    assert main(["data", "stand-in", *words]) == 0
    assert asked == [size]
    assert f"{size[0]} train, {size[1]} validation, {size[2]} test" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["stand-in", "--size", "huge"], "--size huge: wants three numbers such as 1184,128,128, or a profile: smoke"),
        (["stand-in", "--size", "3,0,1"], "--size 3,0,1: every split wants at least one utterance"),
        (["stand-in", "--size", "3,1"], "--size 3,1: wants three numbers"),
        (["tmit", "x"], "did you mean timit?"),
        ([], "required: SOURCE"),
        (["timit"], "required: DIR"),
    ],
)
def test_bad_words(
    asked: list[tuple[int, ...]], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["data", *words]) == 2
    assert sentence in error(capsys)
    assert asked == []
