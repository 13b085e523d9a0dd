"""TIMIT as users bring it: a miniature in its true formats, its split, and what is and is not a whole corpus."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from repro.errors import UserError
from tasks.speech.corpus import PhoneSegment, find_utterances, read_audio, read_phones
from tasks.speech.phones import INDEX, PHONES
from tasks.speech.timit import SAMPLE, SPEAKERS, WHOLE, timit
from tests.tasks.miniature import check, sound, sphere, utterance, write, write_phones


def test_the_61_phones() -> None:
    assert len(PHONES) == len(INDEX) == 61
    assert list(PHONES) == sorted(PHONES)
    assert all(PHONES[index] == phone for phone, index in INDEX.items())


def test_the_lists_are_those_of_the_split() -> None:
    lists = tomllib.loads(SPEAKERS.read_text())
    assert {split: len(set(lists[split])) for split in lists} == {"validation": 50, "test": 24}
    assert not set(lists["validation"]) & set(lists["test"])
    assert (WHOLE.train, WHOLE.validation, WHOLE.test) == (8 * 462, 8 * 50, 8 * 24)


@pytest.mark.parametrize("form", ["sphere", "riff"])
@pytest.mark.parametrize("lower", [False, True], ids=["upper", "lower"])
def test_a_miniature_passes_in_every_form(tmp_path: Path, form: str, lower: bool) -> None:
    corpus = check(write(tmp_path / "timit", form, lower).parent)  # below any folders
    assert (corpus.label, corpus.root) == ("TIMIT", tmp_path)
    names = {split: [u.name for u in there] for split, there in corpus.splits.items()}
    assert names["train"] == [f"train/dr1/{s}/{n}" for s in ("fcjf0", "mdac0") for n in ("si648", "sx37")]
    assert names["validation"] == [f"test/dr2/{s}/{n}" for s in ("faks0", "mgwt0") for n in ("si648", "sx37")]
    assert names["test"] == ["test/dr1/mdab0/si648", "test/dr1/mdab0/sx37"]
    first = corpus.splits["train"][0]
    assert (first.speaker, first.sentence) == ("fcjf0", "si648")
    expected = sound(8000, seed=2)  # the third that was written
    np.testing.assert_array_equal(read_audio(first.audio), expected.astype(np.float32) / 32768)
    assert read_audio(first.audio).dtype == np.float32
    assert read_phones(first.phones, 8000)[:2] == [PhoneSegment(0, 1002, "h#"), PhoneSegment(1002, 2002, PHONES[2])]


def test_samples_with_the_high_byte_first_are_the_same(tmp_path: Path) -> None:
    audio = sound(1000)
    (tmp_path / "low.wav").write_bytes(sphere(audio))
    swapped = sphere(audio).replace(b"-s2 01", b"-s2 10")[:1024] + audio.astype(">i2").tobytes()
    (tmp_path / "high.wav").write_bytes(swapped)
    np.testing.assert_array_equal(read_audio(tmp_path / "low.wav"), read_audio(tmp_path / "high.wav"))


def test_other_files_and_linked_folders_are_passed_over_and_followed(tmp_path: Path) -> None:
    real = write(tmp_path / "elsewhere")
    root = tmp_path / "timit"
    (root / "DOC").mkdir(parents=True)
    (root / "DOC" / "EXAMPLE.WAV").write_bytes(b"not one of the utterances")
    (root / "TRAIN").symlink_to(real / "TRAIN")
    (root / "TEST").symlink_to(real / "TEST")
    (real / "TRAIN/DR1/FCJF0/SX37.WAV.wav").write_bytes(b"the same once more, as some copies have it")
    assert len(find_utterances(root)) == 24
    check(root)


def write_sample(root: Path, speakers: int = 16) -> Path:
    sentences = [f"{kind}{number}" for kind in ("sx", "si") for number in range(4)] + ["sa1", "sa2"]
    for number in range(speakers):
        for sentence in sentences:
            folder = root / f"dr{number // 2 + 1}-{'fm'[number % 2]}ab{'cdefghij'[number // 2]}0"
            utterance(folder, sentence, number, 3000, "riff")
    return root


def test_the_sample_that_nltk_ships(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the whole of NLTK's sample of TIMIT: it has 10 speakers, 100 utterances"):
        timit(write_sample(tmp_path, speakers=10))
    write_sample(tmp_path)
    corpus = timit(tmp_path)
    assert corpus.label == "NLTK's sample of TIMIT"
    assert tuple(len(there) for there in corpus.splits.values()) == SAMPLE[2:]
    speakers = [{u.speaker for u in there} for there in corpus.splits.values()]
    assert [len(group) for group in speakers] == [12, 2, 2]
    assert not set.intersection(*speakers)
    assert len(set.union(*speakers)) == 16


def test_a_miniature_is_not_timit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the whole of TIMIT: it has 6 speakers, 24 .* wanted: 630 speakers, 6300"):
        timit(write(tmp_path))


def test_a_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder .*nowhere"):
        timit(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no utterance in .*; wanted: TRAIN/DR1/FCJF0/SX37.WAV"):
        timit(write(tmp_path) / "TRAIN")


def test_labels_that_end_close_to_the_end_of_the_audio_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "sx1.phn"
    write_phones(path, [(0, 3000, "h#"), (3000, 7900, "sh")])
    for samples in (7740, 7900, 9000):
        assert read_phones(path, samples)[-1].end == 7900
    with pytest.raises(UserError, match="truncated at 7739"):
        read_phones(path, 7739)
