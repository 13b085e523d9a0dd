"""The probability of a text under a network, by torch's LSTM: a text has far more steps than a window."""

import math

import torch
from torch import Tensor, nn

from tasks.word_prediction.torch_lstm import StackedLSTM, State

AT_ONCE = 500  # steps of all streams together: their logits are the memory that this takes


@torch.no_grad()
def log_probabilities(embedding: Tensor, stack: StackedLSTM, text: Tensor) -> Tensor:
    """log P of each word but the first of each stream of `text` [stream, word], given the words before it: [stream,
    word - 1], natural logarithms."""
    series: list[Tensor] = []
    state: State | None = None
    steps = max(AT_ONCE // len(text), 1)
    for start in range(0, text.shape[1] - 1, steps):
        words = text[:, start : start + steps + 1]
        logits, state = stack(nn.functional.embedding(words[:, :-1], embedding), state)
        nats = nn.functional.cross_entropy(logits.flatten(end_dim=1), words[:, 1:].flatten(), reduction="none")
        series.append(-nats.view(len(text), -1))
    return torch.cat(series, dim=1)


def perplexity(embedding: Tensor, stack: StackedLSTM, text: Tensor) -> float:
    """The perplexity of `text` [stream, word]."""
    return perplexity_of(-float(log_probabilities(embedding, stack, text).double().mean()))


def perplexity_of(nats: float) -> float:
    """The exponential of a mean cross-entropy; infinity where it is beyond all floats."""
    return math.exp(nats) if nats < math.log(1e300) else math.inf
