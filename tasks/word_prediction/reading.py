"""What a trained network makes of a text, with torch's own LSTM: it reads far more steps than there are windows."""

import math

import torch
from torch import Tensor, nn

from tasks.word_prediction.stack import StackedLSTM, State

AT_ONCE = 500  # steps of all streams together: their logits are the memory that this takes


@torch.no_grad()
def log_probabilities(embedding: Tensor, stack: StackedLSTM, text: Tensor) -> Tensor:
    """What the network gave to each word but the first of each stream of `text` [stream, word], before it came:
    [stream, word - 1], natural logarithms."""
    found: list[Tensor] = []
    state: State | None = None
    steps = max(AT_ONCE // len(text), 1)
    for start in range(0, text.shape[1] - 1, steps):
        piece = text[:, start : start + steps + 1]
        logits, state = stack(nn.functional.embedding(piece[:, :-1], embedding), state)
        nats = nn.functional.cross_entropy(logits.flatten(end_dim=1), piece[:, 1:].flatten(), reduction="none")
        found.append(-nats.view(len(text), -1))
    return torch.cat(found, dim=1)


def perplexity(embedding: Tensor, stack: StackedLSTM, text: Tensor) -> float:
    """The exponential of the mean cross-entropy."""
    return math.exp(-float(log_probabilities(embedding, stack, text).double().mean()))
