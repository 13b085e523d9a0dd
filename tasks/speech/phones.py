"""The phones of TIMIT: the classes of task 1.3. No torch in here."""

SYMBOLS = """
    aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy jh k kcl l m
    n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh
"""

PHONES: tuple[str, ...] = tuple(SYMBOLS.split())
"""The 61 symbols of TIMIT's .PHN files in alphabetical order: closures ("bcl") separate from releases ("b"), "h#" the
silence before and after an utterance, "pau" a pause within, "epi" an epenthetic silence. None is folded into another:
task 1.3 has "61 readout neurons, one for each class"."""

INDEX: dict[str, int] = {phone: index for index, phone in enumerate(PHONES)}
"""Symbol -> class."""
