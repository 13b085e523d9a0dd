"""Frames and labels against independent computations, their scaling, and that they are made once."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.errors import UserError
from repro.records import store
from tasks.speech import features
from tasks.speech.corpus import Corpus, PhoneSegment, find_utterances, read_audio, read_phones
from tasks.speech.features import Features, label_frames, prepared
from tasks.speech.phones import INDEX, PHONES
from tests.tasks.miniature import lines, sound, sphere, utterance, write_phones

SIZES = {"train": 6, "validation": 2, "test": 2}


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Ten utterances of about half a second, and a results folder of the test's own."""
    monkeypatch.setattr(store, "ROOT", tmp_path / "results")
    for number in range(10):
        utterance(tmp_path / f"TRAIN/DR1/FAB{number}0", f"SX{number}", number, samples=8000 + 333 * number)
    return of(tmp_path)


def of(root: Path) -> Corpus:
    found = find_utterances(root)
    return Corpus(
        "speech", root, {"train": tuple(found[:6]), "validation": tuple(found[6:8]), "test": tuple(found[8:])}
    )


def cached() -> list[Path]:
    return sorted((store.ROOT / "data").iterdir())


def cepstra(audio: np.ndarray) -> np.ndarray:
    """13 MFCCs [frame, 13] of audio [sample], from their definition and in float64."""
    bins, filters = 257, 40
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), filters + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hz = np.linspace(0, 8000, bins)[:, None]
    rise = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0, np.minimum(rise, fall))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    padded = np.pad(audio.astype(np.float64), 256, mode="reflect")
    frames = []
    for centre in range(0, len(audio) + 1, 160):
        piece = padded[centre + 256 - 200 : centre + 256 + 200] * window
        power = np.abs(np.fft.rfft(piece, 512)) ** 2
        frames.append(np.log(power @ bank + 1e-6))
    k, n = np.arange(13)[:, None], np.arange(filters)
    cosines = np.sqrt(2 / filters) * np.cos(np.pi / filters * (n + 0.5) * k)
    cosines[0] /= np.sqrt(2)
    return np.array(frames) @ cosines.T


def derivative(values: np.ndarray) -> np.ndarray:
    """(f(t + 1) - f(t - 1)) / 2 along the first axis, the ends repeated."""
    longer = np.concatenate([values[:1], values, values[-1:]])
    return (longer[2:] - longer[:-2]) / 2


def by_hand(corpus: Corpus) -> dict[str, list[np.ndarray]]:
    """Every split's frames, scaled by the training set."""
    raw: dict[str, list[np.ndarray]] = {}
    for split, utterances in corpus.splits.items():
        raw[split] = []
        for each in utterances:
            audio = read_audio(each.audio)
            first = derivative(values := cepstra(audio))
            whole = np.concatenate([values, first, derivative(first)], axis=1)
            end = read_phones(each.phones, len(audio))[-1].end
            raw[split].append(whole[: (end + 159) // 160])
    together = np.concatenate(raw["train"])
    low, high = together.min(axis=0), together.max(axis=0)
    return {split: [(one - low) / (high - low) for one in there] for split, there in raw.items()}


def difference(made: dict[str, Features], expected: dict[str, list[np.ndarray]]) -> float:
    return max(
        np.abs(ours.numpy() - theirs).max()
        for split in expected
        for ours, theirs in zip(made[split].frames, expected[split], strict=True)
    )


def test_frames_are_what_the_formulas_say(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_hand(corpus)
    assert difference(prepared(corpus, "min_max", SIZES), expected) < 1e-4
    for name, other in (("DELTA_FRAMES", 5), ("WINDOW", 320), ("MEL_FILTERS", 26)):
        with monkeypatch.context() as patch:
            patch.setattr(features, name, other)
            assert difference(prepared(corpus, "min_max", SIZES), expected) > 1e-2, name


def test_shapes_and_types(corpus: Corpus) -> None:
    made = prepared(corpus, "min_max", SIZES)
    assert list(made) == list(SIZES)
    for split, there in made.items():
        assert there.names == tuple(each.name for each in corpus.splits[split])
        for frames, labels in zip(there.frames, there.labels, strict=True):
            assert (frames.dtype, labels.dtype) == (torch.float32, torch.int64)
            assert frames.shape == (len(labels), features.CHANNELS) == (len(labels), 39)


def test_labels_are_the_phones_at_the_centres(corpus: Corpus) -> None:
    made = prepared(corpus, "min_max", SIZES)
    for split, utterances in corpus.splits.items():
        for each, labels in zip(utterances, made[split].labels, strict=True):
            segments = read_phones(each.phones, 100_000)
            at = {sample: segment.phone for segment in segments for sample in range(segment.start, segment.end)}
            assert [PHONES[label] for label in labels] == [at[160 * k] for k in range(len(labels))]
            assert 160 * len(labels) >= segments[-1].end  # no labelled frame is missing


def test_a_boundary_at_a_centre_belongs_to_the_phone_that_begins() -> None:
    segments = [PhoneSegment(0, 160, "h#"), PhoneSegment(160, 320, "aa"), PhoneSegment(320, 400, "b")]
    inside, labels = label_frames(segments, 10)
    assert [PHONES[label] for label in labels] == ["h#", "aa", "b"]
    assert (inside.start, inside.stop) == (0, 3)
    assert label_frames([PhoneSegment(161, 400, "b")], 10)[0] == slice(2, 3)  # and none before the first
    assert label_frames([PhoneSegment(0, 900, "b")], 4)[1].tolist() == [INDEX["b"]] * 4


def test_the_training_set_alone_sets_the_scale(corpus: Corpus) -> None:
    loud = corpus.splits["test"][0]
    loud.audio.write_bytes(sphere(8 * sound(11_000)))
    write_phones(loud.phones, lines(11_000))
    scaled = prepared(corpus, "min_max", SIZES)
    train = torch.cat(scaled["train"].frames)
    assert (train.amin(dim=0) == 0).all()
    assert (train.amax(dim=0) == 1).all()
    assert torch.cat(scaled["test"].frames).max() > 1  # left as it is
    standard = torch.cat(prepared(corpus, "z_score", SIZES)["train"].frames).double()
    assert standard.mean(dim=0).abs().max() < 1e-4
    assert (standard.var(dim=0, unbiased=False) - 1).abs().max() < 1e-4
    assert (train.double().var(dim=0) - 1).abs().min() > 0.1  # the other reading is another


def test_a_channel_that_never_changes_is_no_division_by_zero(corpus: Corpus) -> None:
    for each in corpus.splits["train"]:
        each.audio.write_bytes(sphere(np.zeros(8000, dtype="<i2")))
        write_phones(each.phones, lines(8000))
    for scaling in ("min_max", "z_score"):
        made = prepared(corpus, scaling, SIZES)
        assert all(torch.isfinite(frames).all() for each in made.values() for frames in each.frames)


def test_a_second_call_reads_what_the_first_has_made(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(corpus, "min_max", SIZES)
    assert len(cached()) == 1
    with monkeypatch.context() as patch:
        patch.setattr(features, "read_audio", lambda path: pytest.fail(f"read {path}"))
        second = prepared(corpus, "min_max", SIZES)
        with pytest.raises(pytest.fail.Exception):  # another size, scaling or setting is another file
            prepared(corpus, "z_score", SIZES)
    for split in SIZES:
        assert first[split].names == second[split].names
        assert all(map(torch.equal, first[split].frames, second[split].frames))
        assert all(map(torch.equal, first[split].labels, second[split].labels))
    cached()[0].write_bytes(cached()[0].read_bytes()[:5000])  # a file that cannot be read is made again
    again = prepared(corpus, "min_max", SIZES)
    assert all(map(torch.equal, first["test"].frames, again["test"].frames))
    assert len(cached()) == 1


def test_a_changed_file_makes_new_features(corpus: Corpus) -> None:
    before = prepared(corpus, "min_max", SIZES)
    changed = corpus.splits["train"][0]
    write_phones(changed.phones, [(0, 7900, "zh")])
    os.utime(changed.audio, ns=(time.time_ns(), time.time_ns() + 10**9))
    after = prepared(corpus, "min_max", SIZES)
    assert len(cached()) == 2
    assert set(after["train"].labels[0].tolist()) == {INDEX["zh"]}
    assert not torch.equal(before["train"].labels[0], after["train"].labels[0])


def test_a_cut_is_always_the_same_and_reads_no_more(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> np.ndarray:
        read.append(path)
        return read_audio(path)

    monkeypatch.setattr(features, "read_audio", counted)
    names = [prepared(corpus, "min_max", {"train": size})["train"].names for size in (2, 4, 6)]
    assert [len(each) for each in names] == [2, 4, 6]
    assert set(names[0]) < set(names[1]) < set(names[2])
    assert len(read) == 2 + 4 + 6
    assert names[1] != names[2][:4]  # not simply the first
    turned = corpus._replace(splits={"train": corpus.splits["train"][::-1]})
    assert set(prepared(turned, "min_max", {"train": 4})["train"].names) == set(names[1])


def test_too_few_utterances_are_one_sentence(corpus: Corpus) -> None:
    with pytest.raises(UserError, match="speech in .* has 2 validation utterances: fewer than validation_utterances=3"):
        prepared(corpus, "min_max", SIZES | {"validation": 3})
    assert not (store.ROOT / "data").exists()


def test_audio_too_short_for_a_window_is_one_sentence(corpus: Corpus) -> None:
    short = corpus.splits["train"][0]
    short.audio.write_bytes(sphere(sound(300)))
    write_phones(short.phones, [(0, 300, "h#")])
    with pytest.raises(UserError, match="has 300 samples; wanted: at least one window of 400"):
        prepared(corpus, "min_max", SIZES)
    assert not (store.ROOT / "data").exists()
