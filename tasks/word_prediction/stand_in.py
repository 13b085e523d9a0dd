"""A text that every Python has, for machines without another: the language reference behind `help()`. No torch in here.

About 50,000 words once what its topics repeat is left out: a twentieth of the Penn Treebank. It shows that everything
runs; its perplexities are compared with nothing.
"""

import re
import sys

from repro.errors import UserError
from tasks.word_prediction.encoding import Corpus, encode
from tasks.word_prediction.own_text import cut, split

SENTENCE_ENDS = re.compile(r"\n\s*\n|(?<=[.?!:])\s+(?=[A-Z])")
WORD = re.compile(r"[^\W\d]\w*(?:'\w+)?|\d+")


def stand_in() -> Corpus:
    """The same for every user of a release of Python; other releases have other words.

    Raises UserError where this Python came without it, as some minimal ones do.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise UserError(
            "this Python came without pydoc_data, the text that stands in for the Penn Treebank: run `repro data ptb`, "
            "or `repro data text FILE` with a text of yours"
        ) from None
    label = f"the language reference of Python {sys.version_info.major}.{sys.version_info.minor}"
    lines = [simplify(sentence) for name in sorted(topics) for sentence in SENTENCE_ENDS.split(topics[name])]
    once = [line for line in dict.fromkeys(lines) if line]  # topics share passages: none is trained on and tested
    return encode(label, cut(split(once, label)))


def simplify(sentence: str) -> str:
    """Lower case, words alone, "N" for a number: as the Penn Treebank is."""
    return " ".join("N" if word.isdigit() else word for word in WORD.findall(sentence.lower()))
