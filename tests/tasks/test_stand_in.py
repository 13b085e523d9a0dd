"""The synthesised corpus: made twice alike, labelled where the sound is, nothing held out seen in training."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.errors import UserError
from repro.records import store
from tasks.speech import sentences, stand_in
from tasks.speech.config import SpeechConfig
from tasks.speech.corpus import RATE, Corpus, PhoneSegment, Utterance, read_audio, read_phones
from tasks.speech.phones import INDEX

PINNED = "0d1bdfbbe0e6ab01"  # of the labels that recipe makes
SIZES = {"train": 28, "validation": 6, "test": 6}
HERE = importlib.util.find_spec(stand_in.PACKAGE) is not None
speaks = pytest.mark.skipif(not HERE, reason="no espeakng-loader here")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "ROOT", tmp_path_factory.mktemp("results"))
        yield stand_in.stand_in(**SIZES)


def audio_and_phones(utterance: Utterance) -> tuple[np.ndarray, list[PhoneSegment]]:
    audio = read_audio(utterance.audio)
    return audio, read_phones(utterance.phones, len(audio))


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*") if path.is_file()}


@speaks
def test_a_split_made_again_has_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    """Of all 14 voices: the breath of one of them followed the clock once."""
    orders = stand_in.orders("train", SIZES["train"])
    assert orders[:5] == stand_in.orders("train", 5), "a smaller split is the beginning of a larger one"
    stand_in.speak(tmp_path, orders[:15], "again")
    again, whole = files(tmp_path), files(corpus.root / "train-28")
    assert len(again) == 3 * 15 and len(whole) == 3 * SIZES["train"]
    assert again == {name: whole[name] for name in again}


@speaks
def test_what_is_made_is_what_the_recipes_number_stands_for(corpus: Corpus) -> None:
    """Fails where sentences, voices or labels changed: then stand_in.RECIPE, and the config's, are to be counted up."""
    digest = hashlib.sha256()
    for split in ("train", "validation", "test"):
        for utterance in sorted(corpus.splits[split]):
            digest.update(utterance.name.encode() + utterance.phones.read_bytes())
    assert (stand_in.RECIPE, digest.hexdigest()[:16]) == (SpeechConfig().stand_in_recipe, PINNED)


@speaks
def test_labels_run_from_the_first_sample_to_the_last(corpus: Corpus) -> None:
    for utterance in (each for split in corpus.splits.values() for each in split):
        audio, segments = audio_and_phones(utterance)
        assert segments[0].start == 0 and segments[-1].end == len(audio)
        assert segments[0].phone == segments[-1].phone == "h#"
        assert min(segment.end - segment.start for segment in (segments[0], segments[-1])) >= 0.1 * RATE
        assert all(segment.phone in INDEX and segment.end > segment.start for segment in segments)
        assert 1.0 < len(audio) / RATE < 4.0
        assert 0.1 < np.abs(audio).max() < 0.9


@speaks
def test_the_corpus_is_whole_and_says_what_it_is(corpus: Corpus) -> None:
    assert {split: len(utterances) for split, utterances in corpus.splits.items()} == SIZES
    assert corpus.label.startswith("synthesised speech")
    assert stand_in.stand_in(**SIZES) == corpus, "what is there is not made again"
    phones = {segment.phone for each in corpus.splits["train"] for segment in audio_and_phones(each)[1]}
    assert len(phones) > 40
    assert stand_in.PACKAGE not in sys.modules, "only the helper process loads espeak-ng"


def level(corpus: Corpus, phones: set[str], above_hz: float, shift_s: float = 0.0) -> float:
    """Median over segments: mean power in dB above a frequency, with the labels moved by so much."""
    powers = []
    for utterance in corpus.splits["train"]:
        audio, segments = audio_and_phones(utterance)
        for segment in segments:
            sound = audio[max(0, segment.start + int(shift_s * RATE)) :][: segment.end - segment.start]
            if segment.phone in phones and len(sound) > 100:
                spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
                powers.append(spectrum[np.fft.rfftfreq(len(sound), 1 / RATE) > above_hz].sum() / len(sound) ** 2)
    return float(10 * np.log10(np.median(powers)))


@speaks
def test_labels_are_where_the_sound_is(corpus: Corpus) -> None:
    """Closures are quiet, s and sh hiss; with the labels moved by 100 ms neither is so."""
    closures, vowels, hisses = {"pcl", "tcl", "kcl"}, {"aa", "ae", "eh", "iy", "ow", "ay"}, {"s", "sh", "ch"}
    for loud, quiet, above_hz in ((vowels, closures, 0), (hisses, vowels, 5000)):
        assert level(corpus, loud, above_hz) - level(corpus, quiet, above_hz) > 20
        assert level(corpus, loud, above_hz, 0.1) - level(corpus, quiet, above_hz, 0.1) < 5


@speaks
def test_voices_and_sentences_are_held_out_whole(corpus: Corpus) -> None:
    voices = {split: {each.speaker for each in utterances} for split, utterances in corpus.splits.items()}
    said = {
        split: {each.audio.with_suffix(".TXT").read_text().split(" ", 2)[2].strip() for each in utterances}
        for split, utterances in corpus.splits.items()
    }
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not voices[one] & voices[other]
        assert not said[one] & said[other]
    assert {split: len(texts) for split, texts in said.items()} == SIZES, "no sentence twice"


def test_no_two_speakers_are_one_voice() -> None:
    voices = [voice for split in stand_in.VOICES.values() for voice in split]
    assert len({voice.speaker for voice in voices}) == len({voice.variant for voice in voices}) == 20
    assert sum(voice.speaker.startswith("F") for voice in voices) == 10


def test_sentences_of_every_split_are_as_many_as_timit_has() -> None:
    found = {split: sentences.sentences(split, count) for split, count in (("train", 5000), ("test", 600))}
    assert len(set(found["train"])) == 5000 and not set(found["train"]) & set(found["test"])
    assert found["train"][:7] == sentences.sentences("train", 7)
    assert all(3 <= len(text.split()) <= 14 and text[0].isupper() and text[-1] in ".?!" for text in found["train"])


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install espeakng-loader.*TIMIT_DIR") as error:
        stand_in.stand_in(1, 1, 1)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


@speaks
def test_the_helper_itself_says_it_too(tmp_path: Path) -> None:
    """Run with a package that cannot be imported in the place of the real one."""
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError")
    helper = subprocess.run(
        [sys.executable, "-m", "tasks.speech.synthesis"],
        input=json.dumps(stand_in.orders("test", 1)[0]),
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{Path(stand_in.__file__).parents[2]}"},
        cwd=tmp_path,
    )
    assert helper.returncode == 2 and helper.stderr.count("\n") == 1 and "pip install espeakng-loader" in helper.stderr


@speaks
def test_a_build_that_fails_leaves_nothing_and_one_that_was_killed_is_cleared_away(
    monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    nobody = stand_in.Voice("MNOB0", "nobody", 180, 50, 50)
    monkeypatch.setitem(stand_in.VOICES, "train", (stand_in.VOICES["train"][0], nobody))
    root = tmp_path / "data" / f"stand_in-{stand_in.key()}"
    killed = root / ".making-killed" / "TRAIN"
    killed.mkdir(parents=True)
    with pytest.raises(UserError, match="after 1 of 2: espeak-ng has no voice en-us\\+nobody"):
        stand_in.stand_in(2, 1, 1)
    assert [path.name for path in root.iterdir()] == [".lock"]
