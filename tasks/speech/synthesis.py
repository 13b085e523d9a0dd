"""The process that synthesises speech: python -m tasks.speech.synthesis, one utterance per line of JSON on stdin.

    {"stem": "TRAIN/DR1/FANN0/SX1", "text": "...", "variant": "Annie", "rate": 180, "pitch": 50, "range": 50}

writes stem + .WAV (RIFF, 16 kHz, mono, 16 bit), .PHN and .TXT, laid out as TIMIT's, and answers with a line.

espeak-ng is GPL-3: this process alone loads it, and this module is the one that is run, never imported, by ours. Its
output may depend on the utterances before: the same lines in the same order to a fresh process give the same files.
"""

import contextlib
import ctypes
import json
import sys
import wave
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import resample_poly

from repro.errors import UserError
from tasks.speech.transcription import Labelled, Phoneme, transcribe

VERSION = "1.52"  # of espeak-ng, whose phonemes tasks.speech.transcription knows
RATE = 16_000
UP, DOWN = 320, 441  # 16 000 / 22 050

SYNCHRONOUS, PHONEME_EVENTS, DONT_EXIT, UTF8 = 2, 0x0001, 0x8000, 1  # espeak-ng's speak_lib.h
END_OF_EVENTS, PHONEME_EVENT = 0, 7
PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4}
VOLUME = 50  # of espeak-ng's 100, at which some voices overflow

SEED = 1  # of breath, which follows the clock otherwise
PADDING_S = (0.1, 0.2)  # silence before and after
NOISE_DB = (-50.0, -35.0)  # of the speech's mean power: espeak-ng's silences are digital zeros
PEAK = 0.5  # of full scale


class Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),  # a union, of which phoneme events use this
    )


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


class Order(NamedTuple):
    """One utterance to synthesise."""

    stem: str
    text: str
    variant: str
    rate: int  # words/min
    pitch: int  # 0 .. 99; 50 is the variant's own
    range: int  # 0 .. 99, of pitch


class Espeak:
    """The library, loaded into this process; its voice is US English."""

    def __init__(self) -> None:
        """Raises UserError where the package is missing or carries another version of espeak-ng."""
        try:
            import espeakng_loader
        except ImportError as error:
            raise UserError("espeakng-loader is not installed; `pip install espeakng-loader` adds it") from error
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_Info.restype = ctypes.c_char_p
        self.data = Path(espeakng_loader.get_data_path())
        options = PHONEME_EVENTS | DONT_EXIT
        self.hertz = self.library.espeak_Initialize(SYNCHRONOUS, 0, str(self.data).encode(), options)
        version = self.library.espeak_Info(None).decode()
        if not version.startswith(f"{VERSION}.") or self.hertz * UP != RATE * DOWN:
            raise UserError(f"espeak-ng {version} at {self.hertz} Hz; wanted: {VERSION} at 22050 Hz")
        self.chunks: list[np.ndarray[Any, Any]] = []
        self.phonemes: list[Phoneme] = []
        self.callback = Callback(self._hear)  # held: C keeps only a pointer
        self.library.espeak_SetSynthCallback(self.callback)

    def _hear(self, audio: Any, count: int, events: Any) -> int:
        if audio and count > 0:
            self.chunks.append(np.ctypeslib.as_array(audio, (count,)).copy())
        at = 0
        while events[at].type != END_OF_EVENTS:
            if events[at].type == PHONEME_EVENT:
                self.phonemes.append(Phoneme(events[at].sample, events[at].name.decode()))
            at += 1
        return 0

    def say(self, order: Order) -> tuple[np.ndarray[Any, np.dtype[np.int16]], list[Phoneme]]:
        """Audio [sample] at 22 050 Hz and its phonemes. Raises UserError for a voice that espeak-ng does not have."""
        self.chunks, self.phonemes = [], []
        known = (self.data / "voices" / "!v" / order.variant).is_file()  # it passes over what it does not know
        if self.library.espeak_SetVoiceByName(f"en-us+{order.variant}".encode()) or not known:
            raise UserError(f"espeak-ng has no voice en-us+{order.variant}")
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
        values = {**order._asdict(), "volume": VOLUME}
        for name, number in PARAMETERS.items():
            self.library.espeak_SetParameter(number, values[name], 0)
        text = order.text.encode()
        if self.library.espeak_Synth(text, len(text) + 1, 0, 1, 0, UTF8, None, None) or not self.chunks:
            raise UserError(f"espeak-ng could not synthesise {order.text!r}")
        return np.concatenate(self.chunks), self.phonemes


def recorded(
    audio: np.ndarray[Any, Any], labels: list[Labelled], draw: np.random.Generator
) -> tuple[np.ndarray[Any, np.dtype[np.int16]], list[Labelled]]:
    """The same at 16 kHz, with silence before and after and noise throughout, and the labels moved along."""
    before, after = (int(RATE * draw.uniform(*PADDING_S)) for _ in range(2))
    speech = resample_poly(audio.astype(np.float64), UP, DOWN)
    speech *= PEAK / max(1e-9, float(np.abs(speech).max()))
    noise = np.sqrt(np.mean(speech**2) * 10 ** (draw.uniform(*NOISE_DB) / 10))
    whole = np.concatenate([np.zeros(before), speech, np.zeros(after)])
    whole += noise * draw.standard_normal(len(whole))
    at = [0, *(before + round(label.end * UP / DOWN) for label in labels[:-1]), len(whole)]
    moved = [Labelled(a, b, label.symbol) for a, b, label in zip(at[:-1], at[1:], labels, strict=True)]
    return np.clip(np.round(whole * 32767), -32768, 32767).astype("<i2"), moved


def write(stem: Path, audio: np.ndarray[Any, np.dtype[np.int16]], labels: list[Labelled], text: str) -> None:
    """stem.WAV, .PHN and .TXT."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(wave.open(f"{stem}.WAV", "wb")) as file:
        file.setparams((1, 2, RATE, len(audio), "NONE", ""))
        file.writeframes(audio.tobytes())
    lines = "".join(f"{label.start} {label.end} {label.symbol}\n" for label in labels)
    Path(f"{stem}.PHN").write_text(lines, encoding="ascii")
    Path(f"{stem}.TXT").write_text(f"0 {len(audio)} {text}\n", encoding="utf-8")


def main() -> int:
    """Synthesises every line of standard input; returns 2 and prints a sentence if that fails."""
    try:
        espeak = Espeak()
        for number, line in enumerate(sys.stdin):
            order = Order(**json.loads(line))
            spoken, phonemes = espeak.say(order)
            draw = np.random.default_rng([number, len(spoken)])
            audio, labels = recorded(spoken, transcribe(spoken, phonemes, espeak.hertz), draw)
            write(Path(order.stem), audio, labels, order.text)
            print(order.stem, flush=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
