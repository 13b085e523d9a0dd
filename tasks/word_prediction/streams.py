"""A text cut into streams that are read side by side, and these into windows, as TensorFlow's tutorial does.

Thirteen words in two streams, in windows of two steps; what is left over of the text and of a stream is dropped:

    stream 0    w0 w1 | w2 w3 | w4 w5      window 0: inputs w0 w1 and w6 w7, targets w1 w2 and w7 w8
    stream 1    w6 w7 | w8 w9 | w10 w11    window 1: inputs w2 w3 and w8 w9, targets w3 w4 and w9 w10
"""

from repro.errors import UserError
from tasks.word_prediction.encoding import Tokens


def streams(text: Tokens, batch: int) -> Tokens:
    """`batch` contiguous streams [stream, word] of a text [token]: the last word of each is a target alone.

    Raises UserError where a stream would have no input and target.
    """
    words = len(text) // batch
    if words < 2:
        raise UserError(f"a text of {len(text)} tokens makes no {batch} streams; wanted: {2 * batch} tokens or more")
    return text[: batch * words].reshape(batch, words)


def windows_per_epoch(words: int, steps: int) -> int:
    """Whole windows of so many steps in streams of so many words. Raises UserError where there is none."""
    if words <= steps:
        raise UserError(f"streams of {words} words hold no window of {steps} steps and the word after it")
    return (words - 1) // steps
