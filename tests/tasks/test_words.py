"""Texts of task 3.2: tokens and streams as in the tutorial, errors, no test sentence that was trained on."""

import gzip
import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from repro.errors import UserError
from repro.records import store
from tasks.word_prediction import data_location, own_text, ptb
from tasks.word_prediction.corpus import corpus
from tasks.word_prediction.encoding import Corpus, encode
from tasks.word_prediction.stand_in import simplify, stand_in
from tasks.word_prediction.streams import streams, windows_per_epoch

TREEBANK = {
    "training": " the cat saw the <unk> \n a cat saw N dogs \n",
    "validation": " the dogs saw a cat \n",
    "test": " a <unk> saw N \n the cat \n",
}


def test_a_prepared_text_that_is_damaged(tmp_path: Path) -> None:
    for name, content in own_text.prepare([_written(tmp_path / "mine.txt")]).items():
        (tmp_path / name).write_bytes(content)
    assert own_text.own_text(tmp_path).words  # control
    (tmp_path / "validation.txt").write_bytes(b"a \x80 word\n")
    with pytest.raises(UserError, match="validation.txt is not UTF-8 text: byte 2 is 0x80"):
        own_text.own_text(tmp_path)


def _written(path: Path) -> Path:
    path.write_text("a few words\n" * 100)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three small files that are taken to be all of the Penn Treebank."""
    monkeypatch.delenv("PTB_DIR", raising=False)
    monkeypatch.setattr(store, "ROOT", tmp_path / "results")
    folder = tmp_path / "ptb"
    folder.mkdir()
    for split, text in TREEBANK.items():
        (folder / ptb.FILES[split]).write_text(text)
        words = tutorial(text)
        content = ptb.Content(len(words), len(set(words)), hashlib.sha256(text.encode()).hexdigest())
        monkeypatch.setitem(ptb.WHOLE, split, content)
    return folder


def tutorial(text: str) -> list[str]:
    """The tokens, in the words of TensorFlow's tutorial."""
    return text.replace("\n", "<eos>").split()


def same(one: Corpus, other: Corpus) -> bool:
    return one.words == other.words and all(np.array_equal(one.splits[s], other.splits[s]) for s in TREEBANK)


def test_tokens_and_numbers_are_the_tutorials(folder: Path) -> None:
    found = ptb.ptb(folder)
    counts = Counter(tutorial(TREEBANK["training"]))
    assert found.words == tuple(word for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    assert found.words[:4] == ("<eos>", "cat", "saw", "the"), "as frequent as each other: by spelling"
    for split, text in TREEBANK.items():
        assert [found.words[k] for k in found.splits[split]] == tutorial(text)
        assert found.splits[split].dtype == np.int32


def test_packed_files_are_plain_files(folder: Path) -> None:
    plain = ptb.ptb(folder)
    for name in ptb.FILES.values():
        path = folder / name
        (folder / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert same(plain, ptb.ptb(folder)) and plain.digest == ptb.ptb(folder).digest
    packed = folder / "ptb.valid.txt.gz"
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"cannot unpack .*ptb.valid.txt.gz"):
        ptb.ptb(folder)


def test_texts_that_differ_have_different_digests(folder: Path) -> None:
    found = ptb.ptb(folder)
    moved = found.splits["test"].copy()
    moved[:2] = moved[1::-1]
    assert found._replace(splits={**found.splits, "test": moved}).digest != found.digest
    assert found._replace(words=(*found.words[:-1], "dog")).digest != found.digest
    swapped = {**found.splits, "test": found.splits["validation"], "validation": found.splits["test"]}
    assert found._replace(splits=swapped).digest != found.digest


def test_one_other_byte_is_a_fault_that_names_what_was_found(folder: Path) -> None:
    (folder / "ptb.test.txt").write_text(TREEBANK["test"].replace("cat", "dog"))
    with pytest.raises(UserError, match=r"ptb.test.txt is not .* 8 tokens of 7 types, .*; wanted: 8 tokens of 7 types"):
        ptb.ptb(folder)


def test_missing_files_and_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "ptb.test.txt").unlink()
    with pytest.raises(UserError, match=r"no ptb.test.txt in .*plain or .gz"):
        ptb.ptb(folder)
    monkeypatch.setenv("PTB_DIR", "/nowhere")
    with pytest.raises(UserError, match="no folder /nowhere; wanted: one with ptb.train.txt"):
        corpus("ptb")
    monkeypatch.delenv("PTB_DIR")
    with pytest.raises(UserError, match="no Penn Treebank is here: run `repro data ptb` once, or set PTB_DIR"):
        corpus("ptb")
    with pytest.raises(UserError, match="run `repro data text FILE`"):
        corpus("text")
    with pytest.raises(UserError, match=r"did you mean ptb\?"):
        corpus("ptp")


def test_which_text_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_location.data_here() == {"corpus": "stand_in"}
    data_location.own_text_folder().mkdir(parents=True)
    assert data_location.data_here() == {"corpus": "text"}
    data_location.download_folder().mkdir()
    assert data_location.data_here() == {"corpus": "ptb"} and data_location.ptb_dir() == data_location.download_folder()
    monkeypatch.setenv("PTB_DIR", str(folder))
    assert data_location.ptb_dir() == folder and same(corpus("ptb"), ptb.ptb(folder))
    monkeypatch.setenv("PTB_DIR", "")
    assert data_location.ptb_dir() == data_location.download_folder(), "make exports it empty"


def test_a_word_that_training_lacks_is_a_fault() -> None:
    lines = {"training": ["a b"], "validation": ["b a"], "test": ["a c"]}
    with pytest.raises(UserError, match="the test text has 1 words that the training text lacks, such as 'c'"):
        encode("text", lines)
    known = encode("text", {**lines, "test": ["a <unk>"]})
    assert known.words == ("<eos>", "a", "b", "<unk>"), "unless it stands for such words"


def test_the_vocabulary_is_cut_to_the_most_frequent_words() -> None:
    parts = {"training": ["a a a b b c", "b c d e e"], "validation": ["a d f"], "test": ["e c"]}
    assert own_text.cut(parts) == {
        "training": ["a a a b b c", "b c <unk> e e"],  # d is there once
        "validation": ["a <unk> <unk>"],
        "test": ["e c"],
    }
    small = own_text.cut(parts, most=5)
    assert small["training"] == ["a a a b b c", "b c <unk> <unk> <unk>"], "e comes after c, as frequent as it is"
    assert len(encode("text", small).words) == 5, "with <unk> and <eos>"


def test_a_text_that_was_cut_already_keeps_its_words() -> None:
    lines = {split: [line.strip() for line in text.splitlines()] for split, text in TREEBANK.items()}
    assert own_text.cut(lines) == lines
    without = {**lines, "training": [line.replace("<unk>", "cat") for line in lines["training"]]}
    assert own_text.cut(without) != without, "otherwise words that are there once go"


def test_one_text_is_split_in_its_order() -> None:
    lines = [f"line {k}" for k in range(47)]
    parts = own_text.split(lines, "here")
    assert [len(part) for part in parts.values()] == [43, 2, 2]
    assert [line for part in parts.values() for line in part] == lines
    with pytest.raises(UserError, match="here has 19 lines of text; wanted: 20 or more"):
        own_text.split(lines[:19], "here")


def test_the_stand_in_is_the_same_every_time_and_names_its_source() -> None:
    one, again = stand_in(), stand_in()
    assert same(one, again) and one.digest == again.digest
    assert one.label == "the language reference of Python {}.{}".format(*sys.version_info)
    assert len(one.splits["training"]) > 30_000 and min(map(len, one.splits.values())) > 1000
    assert 1000 < len(one.words) < 10_000


def test_no_sentence_of_the_stand_in_is_trained_on_and_tested() -> None:
    found = stand_in()
    unknown = found.words.index("<unk>")
    sentences = {split: whole(found, split, unknown) for split in TREEBANK}
    assert all(sentences.values())
    assert not sentences["training"] & (sentences["validation"] | sentences["test"])
    assert all((tokens == unknown).mean() < 0.1 for tokens in found.splits.values())


def whole(found: Corpus, split: str, unknown: int) -> set[tuple[int, ...]]:
    """The sentences without an unknown word: others may be alike by what they hide."""
    ends = np.flatnonzero(found.splits[split] == found.words.index("<eos>"))
    sentences = (tuple(part.tolist()) for part in np.split(found.splits[split], ends + 1))
    return {sentence for sentence in sentences if sentence and unknown not in sentence}


def test_sentences_are_made_simple() -> None:
    assert simplify("Don't call __del__() 10 times: x.utf8 = 3.5") == "don't call __del__ N times x utf8 N N"


def test_a_python_without_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(UserError, match="came without pydoc_data.*run `repro data ptb`"):
        stand_in()


def producer(raw: np.ndarray, batch: int, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets of an epoch as TensorFlow's tutorial cuts them (ptb_producer), in numpy."""
    batch_len = len(raw) // batch
    data = np.reshape(raw[0 : batch * batch_len], [batch, batch_len])
    epoch_size = (batch_len - 1) // steps
    cut = [(slice(i * steps, (i + 1) * steps), slice(i * steps + 1, (i + 1) * steps + 1)) for i in range(epoch_size)]
    return [(data[:, x], data[:, y]) for x, y in cut]


@pytest.mark.parametrize(("tokens", "batch", "steps"), [(13, 2, 2), (101, 4, 4), (100, 4, 6), (21, 1, 20), (30, 3, 3)])
def test_streams_and_windows_are_the_tutorials(tokens: int, batch: int, steps: int) -> None:
    text = np.arange(tokens, dtype=np.int32)
    cut, expected = streams(text, batch), producer(text, batch, steps)
    assert windows_per_epoch(cut.shape[1], steps) == len(expected) > 0
    for index, (inputs, targets) in enumerate(expected):
        assert np.array_equal(cut[:, index * steps :][:, :steps], inputs)
        assert np.array_equal(cut[:, index * steps + 1 :][:, :steps], targets)
    assert np.array_equal(cut.reshape(-1), text[: cut.size]), "contiguous, in the text's order"
    assert not np.array_equal(cut, text[: cut.size].reshape(-1, batch).T) or batch == 1


def test_a_text_too_short_for_its_streams() -> None:
    text = np.arange(39, dtype=np.int32)
    with pytest.raises(UserError, match="39 tokens makes no 20 streams; wanted: 40 tokens or more"):
        streams(text, 20)
    assert streams(text, 19).shape == (19, 2)
    with pytest.raises(UserError, match="streams of 4 words hold no window of 4 steps"):
        windows_per_epoch(4, 4)
    assert windows_per_epoch(5, 4) == 1
