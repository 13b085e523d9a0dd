"""The text that a config names. No torch in here."""

from repro.errors import UserError, unknown
from tasks.word_prediction.data_location import own_text_folder, ptb_dir
from tasks.word_prediction.encoding import Corpus
from tasks.word_prediction.own_text import own_text
from tasks.word_prediction.ptb import ptb
from tasks.word_prediction.stand_in import stand_in


def corpus(kind: str) -> Corpus:
    """The text "ptb", "text" (the user's own) or "stand_in".

    Raises UserError when there is no such kind, and when its text is missing or not as it should be.
    """
    if kind == "stand_in":
        return stand_in()
    if kind == "text":
        return own_text(own_text_folder())
    if kind != "ptb":
        raise unknown("corpus", kind, ("ptb", "text", "stand_in"))
    folder = ptb_dir()
    if folder is None:
        raise UserError(
            "corpus=ptb, and no Penn Treebank is here: run `repro data ptb` once, or set PTB_DIR to the folder of yours"
        )
    return ptb(folder)
