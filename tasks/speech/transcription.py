"""espeak-ng's phonemes and their times -> segments in TIMIT's 61 symbols, only where the sound shows them.

espeak-ng reports where a phoneme begins and treats a stop as a whole; TIMIT splits each into closure and release.
Both parts are in the sound, so that is where the boundary between them is read from:

    voiceless stops    begin at the release: their closure is the silent tail of the phone before
    voiced stops       begin with a murmur, which has nothing above 800 Hz: up to its end they are closure

The silent tail of a phone before a pause belongs to the pause; before any other phone it is epenthetic ("epi"). No
rule here makes ax-h, em, eng, hv, nx or ux, which espeak-ng does not distinguish from ax, m, ng, hh, n and uw.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from repro.errors import UserError

PAUSES = ("_", "_:")
STRESS = "',%=|"  # marks before a phoneme's name
CLOSURES = {
    **{"b": "bcl", "d": "dcl", "g": "gcl", "p": "pcl", "t": "tcl", "k": "kcl"},
    **{"ch": "tcl", "jh": "dcl"},
}
SILENCES = ("pau", "q", *CLOSURES.values())
VOICED = ("b", "d", "g", "jh")
SYMBOLS = {
    **{symbol: symbol for symbol in "bdfgklmnprstvwz"},
    **{"D": "dh", "T": "th", "S": "sh", "Z": "zh", "tS": "ch", "dZ": "jh", "N": "ng"},
    **{"h": "hh", "j": "y", "r-": "r", "t2": "t", "t#": "dx", "?": "q", "n-": "en"},
    **{"i": "iy", "i:": "iy", "I": "ih", "I2": "ih", "I#": "ix", "E": "eh", "eI": "ey"},
    **{"a": "ae", "aa": "ae", "0": "aa", "A:": "aa", "O:": "ao", "O2": "ao", "V": "ah"},
    **{"U": "uh", "u:": "uw", "oU": "ow", "aI": "ay", "aU": "aw", "OI": "oy"},
    **{"@": "ax", "@2": "ax", "@-": "ax", "a#": "ax", "@L": "el", "3": "axr", "3:": "er"},
    **{"A@": "aa r", "O@": "ao r", "o@": "ao r", "e@": "eh r", "U@": "uh r"},
    **{"i@3": "ih r", "i@": "iy ax", "aI3": "ay axr", "aI@": "ay ax"},
}
"""espeak-ng's mnemonic -> TIMIT's symbols, two where one phoneme of espeak-ng is a sequence in TIMIT."""
JOINED = (";",)  # the glide at the end of a vowel: a part of it
VOWELS = ("aa", "ae", "ah", "ao", "aw", "ax", "axr", "ay", "eh", "er", "ey", "ih", "ix", "iy", "ow", "oy", "uh", "uw")
LIQUIDS = ("l", "r")  # before a consonant espeak-ng blends them into the vowel and reports them at their end
FIRST = 0.6  # of a sequence's time is its first symbol's: no boundary within is audible

SILENT = 0.004  # of the utterance's loudest moment, as amplitude: espeak-ng's silences are all but digital zeros
MURMUR = 0.03  # the same above MURMUR_HZ: a murmur has less, a release more
MURMUR_HZ = 800.0
SHORTEST_S = 0.015  # of a closure, and of a liquid that is not blended
WINDOW_S = 0.004  # over which loudness is taken
EDGE_S = 0.004  # at a boundary, where that window overlaps the neighbour


class Phoneme(NamedTuple):
    """An event of espeak-ng."""

    sample: int  # where it begins
    name: str  # mnemonic, with marks of stress


class Labelled(NamedTuple):
    """A stretch of sound and TIMIT's symbol for it."""

    start: int
    end: int
    symbol: str


class Sound(NamedTuple):
    """Measures of the audio that the rules use."""

    silent: np.ndarray[Any, np.dtype[np.bool_]]  # [sample]
    low: np.ndarray[Any, np.dtype[np.bool_]]  # [sample]: nothing above MURMUR_HZ
    shortest: int  # samples
    edge: int  # samples


def transcribe(
    audio: np.ndarray[Any, Any], phonemes: Sequence[Phoneme], rate: int, closures: bool = True
) -> list[Labelled]:
    """Segments without gaps from 0 to the end of the audio [sample], the first and the last one h#, which may be empty.

    `closures=False` leaves the closures where espeak-ng has them, in the neighbouring phones.

    Raises UserError for a phoneme that has no symbol here.
    """
    labels = _named(phonemes, len(audio))
    if closures:
        labels = _carved(labels, _listen(audio.astype(np.float64), rate))
    return _tidy(_divided(_blended(labels, round(SHORTEST_S * rate))), len(audio))


def _named(phonemes: Sequence[Phoneme], samples: int) -> list[Labelled]:
    labels = [Labelled(0, phonemes[0].sample if phonemes else samples, "h#")]
    for at, (start, marked) in enumerate(phonemes):
        name = marked.lstrip(STRESS)
        end = phonemes[at + 1].sample if at + 1 < len(phonemes) else samples
        if name in JOINED:
            labels[-1] = labels[-1]._replace(end=end)
        elif name in PAUSES:
            labels.append(Labelled(start, end, "pau"))
        elif name in SYMBOLS:
            labels.append(Labelled(start, end, SYMBOLS[name]))
        else:
            raise UserError(f"espeak-ng's phoneme {name!r} has no symbol of TIMIT's in tasks/speech/transcription.py")
    return labels


def _blended(labels: Sequence[Labelled], shortest: int) -> list[Labelled]:
    """A vowel and the liquid in it as one sequence."""
    blended: list[Labelled] = []
    for label in labels:
        short = label.end - label.start < shortest
        if short and label.symbol in LIQUIDS and blended and blended[-1].symbol in VOWELS:
            blended[-1] = Labelled(blended[-1].start, label.end, f"{blended[-1].symbol} {label.symbol}")
        else:
            blended.append(label)
    return blended


def _divided(labels: Sequence[Labelled]) -> list[Labelled]:
    """Sequences of two symbols as two segments."""
    divided: list[Labelled] = []
    for label in labels:
        first, _, second = label.symbol.partition(" ")
        middle = label.start + round(FIRST * (label.end - label.start)) if second else label.end
        divided += [Labelled(label.start, middle, first), Labelled(middle, label.end, second)]
    return divided


def _listen(audio: np.ndarray[Any, np.dtype[np.float64]], rate: int) -> Sound:
    def loudness(signal: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        power = uniform_filter1d(signal**2, round(WINDOW_S * rate), mode="constant")
        return np.sqrt(np.maximum(power, 0.0))

    whole = loudness(audio)
    high = loudness(sosfiltfilt(butter(4, MURMUR_HZ, "highpass", fs=rate, output="sos"), audio))
    return Sound(
        whole <= SILENT * whole.max(initial=0.0),
        high <= MURMUR * high.max(initial=0.0),
        round(SHORTEST_S * rate),
        round(EDGE_S * rate),
    )


def _carved(labels: Sequence[Labelled], sound: Sound) -> list[Labelled]:
    """Closures, pauses and epenthetic silences cut out of the phones that they lie in."""
    carved: list[Labelled] = []
    for label, following in zip(labels, [*labels[1:], Labelled(0, 0, "h#")], strict=True):
        start, end, symbol = label
        tail = end if symbol in ("h#", "pau") else _silent_tail(sound, start, end)
        if symbol in VOICED and (head := _murmur(sound, start, tail)) > start:
            carved.append(Labelled(start, head, CLOSURES[symbol]))
            start = head
        carved.append(Labelled(start, tail, symbol))
        if tail < end:
            carved.append(Labelled(tail, end, _silence_before(following.symbol)))
    return carved


def _silence_before(symbol: str) -> str:
    return CLOSURES.get(symbol, symbol if symbol in ("h#", "pau", "q") else "epi")


def _silent_tail(sound: Sound, start: int, end: int) -> int:
    """Where the silence that ends a phone begins; the phone's end where there is none."""
    loud = np.flatnonzero(~sound.silent[start : max(start, end - sound.edge)])
    tail = start + int(loud[-1]) + 1 if len(loud) else start
    return tail if end - tail >= sound.shortest else end


def _murmur(sound: Sound, start: int, end: int) -> int:
    """Where the murmur that opens a voiced stop ends; the stop's start where there is none."""
    bright = np.flatnonzero(~sound.low[min(end, start + sound.edge) : end])
    head = start + sound.edge + int(bright[0]) if len(bright) else end
    return head if head - start >= sound.shortest else start


def _tidy(labels: Sequence[Labelled], samples: int) -> list[Labelled]:
    """No empty segments but an h# at an end, and one segment where a silence was in two parts."""
    tidy = [labels[0]]
    for label in labels[1:]:
        if label.symbol == tidy[-1].symbol and label.symbol in SILENCES:
            tidy[-1] = tidy[-1]._replace(end=label.end)
        elif label.end > label.start:
            tidy.append(label)
    if tidy[-1].symbol == "pau":
        return [*tidy[:-1], tidy[-1]._replace(symbol="h#")]
    return tidy if len(tidy) > 1 and tidy[-1].symbol == "h#" else [*tidy, Labelled(samples, samples, "h#")]
