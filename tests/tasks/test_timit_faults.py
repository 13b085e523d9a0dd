"""Every fault that a copy of TIMIT can have, planted once: each is a hard error of one sentence with what was found."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from repro.errors import UserError
from tests.tasks.miniature import check, riff, sound, sphere, utterance, write, write_phones


def first(root: Path, suffix: str) -> Path:
    return root / f"TRAIN/DR1/FCJF0/SX37{suffix}"


def without_phones(root: Path) -> None:
    first(root, ".PHN").unlink()
    (root / "TEST/DR1/MDAB0/SI648.PHN").unlink()


def wrong_rate(root: Path) -> None:
    first(root, ".WAV").write_bytes(sphere(sound(8000), rate=8000))


def wrong_rate_riff(root: Path) -> None:
    riff(first(root, ".WAV"), sound(8000), rate=44_100)


def stereo(root: Path) -> None:
    first(root, ".WAV").write_bytes(sphere(sound(16_000), channels=2))


def stereo_riff(root: Path) -> None:
    riff(first(root, ".WAV"), sound(16_000), channels=2)


def eight_bit(root: Path) -> None:
    first(root, ".WAV").write_bytes(sphere(sound(8000).astype(np.int8)))


def eight_bit_riff(root: Path) -> None:
    riff(first(root, ".WAV"), sound(8000).astype(np.uint8))


def shortened(root: Path) -> None:
    coded = sphere(sound(8000)).replace(b"end_head", b"sample_coding -s26 pcm,embedded-shorten-v2.00\nend_head")
    first(root, ".WAV").write_bytes(coded[:1024] + coded[1100:])


def no_audio(root: Path) -> None:
    first(root, ".WAV").write_bytes(b"")


def truncated(root: Path) -> None:
    path = first(root, ".WAV")
    path.write_bytes(path.read_bytes()[:9024])


def truncated_riff(root: Path) -> None:
    riff(first(root, ".WAV"), sound(8000))
    first(root, ".WAV").write_bytes(first(root, ".WAV").read_bytes()[:8044])


def cut_audio(root: Path) -> None:
    first(root, ".WAV").write_bytes(sphere(sound(7000)))


def unknown_symbol(root: Path) -> None:
    write_phones(first(root, ".PHN"), [(0, 3000, "h#"), (3000, 7900, "sch")])


def gap(root: Path) -> None:
    write_phones(first(root, ".PHN"), [(0, 3000, "h#"), (3010, 7900, "sh")])


def overlap(root: Path) -> None:
    write_phones(first(root, ".PHN"), [(0, 3000, "h#"), (2990, 7900, "sh")])


def backwards(root: Path) -> None:
    write_phones(first(root, ".PHN"), [(0, 3000, "h#"), (3000, 2000, "sh"), (2000, 7900, "h#")])


def no_number(root: Path) -> None:
    first(root, ".PHN").write_text("0 3000 h#\n3000.5 7900 sh\n")


def no_lines(root: Path) -> None:
    first(root, ".PHN").write_text("\n")


def shared_speakers(root: Path) -> None:
    os.rename(root / "TEST/DR1/FAEM9", root / "TEST/DR1/FCJF0")


def one_less(root: Path) -> None:
    for suffix in (".WAV", ".PHN"):
        first(root, suffix).unlink()


def another_speaker_in_place_of_the_core_test(root: Path) -> None:
    os.rename(root / "TEST/DR1/MDAB0", root / "TEST/DR1/MXYZ0")


def twice(root: Path) -> None:
    utterance(root / "copy/TRAIN/DR1/FCJF0", "SX37", 0)


@pytest.mark.parametrize(
    ("plant", "sentence"),
    [
        (without_phones, "2 of 24 .WAV without their .PHN, such as .*MDAB0/SI648.WAV"),
        (wrong_rate, "SX37.WAV has 8000 samples/s; wanted: 16000"),
        (wrong_rate_riff, "SX37.WAV has 44100 samples/s; wanted: 16000"),
        (stereo, "SX37.WAV has 2 channels; wanted: 1"),
        (stereo_riff, "SX37.WAV has 2 channels; wanted: 1"),
        (eight_bit, "SX37.WAV holds samples of Signed 8 bit PCM; wanted: 16 bit PCM"),
        (eight_bit_riff, "SX37.WAV holds samples of Unsigned 8 bit PCM; wanted: 16 bit PCM"),
        (shortened, "cannot read .*SX37.WAV.* SPHERE without compression"),
        (no_audio, "cannot read .*SX37.WAV"),
        (truncated, "SX37.WAV is truncated: 4000 samples of the 8000 in its header"),
        (truncated_riff, "SX37.WAV is truncated: 4000 samples of the 8000 in its header"),
        (cut_audio, "SX37.PHN has labels up to sample 7923, but its audio is truncated at 7000"),
        (unknown_symbol, "SX37.PHN, line 2: unknown phone 'sch'; did you mean sh"),
        (gap, "SX37.PHN has a gap between h#, which ends at sample 3000, and sh, which begins at 3010"),
        (overlap, "SX37.PHN has an overlap between h#, which ends at sample 3000, and sh, which begins at 2990"),
        (backwards, "SX37.PHN, line 2: '3000 2000 sh'; wanted: start, end and symbol"),
        (no_number, "SX37.PHN, line 2: '3000.5 7900 sh'; wanted: start, end and symbol"),
        (no_lines, "SX37.PHN is empty"),
        (shared_speakers, "TRAIN and TEST share 1 of their speakers, such as fcjf0; wanted: none"),
        (one_less, "it has 6 speakers, 23 utterances, of them 3 to train, .*; wanted: 6 speakers, 24 .* 4 to train"),
        (another_speaker_in_place_of_the_core_test, "it has 6 .* 4 to validate and 0 to test; wanted: .* 2 to test"),
        (twice, "train/dr1/fcjf0/sx37 is in .* twice"),
    ],
)
def test_every_fault_is_one_sentence(tmp_path: Path, plant: Callable[[Path], None], sentence: str) -> None:
    write(tmp_path)
    check(tmp_path)
    plant(tmp_path)
    with pytest.raises(UserError, match=sentence) as raised:
        check(tmp_path)
    assert "\n" not in str(raised.value)
