"""Torch's own LSTM, trained by autograd: the tutorial's network of two layers, and the evaluation of texts."""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]


class StackedLSTM(nn.Module):
    """Layers of units from embedded words [batch, step, unit] to the logits of the next [batch, step, word].

    Torch adds a second bias to each gate; it does not learn, and is zero but for the forget gate's.
    """

    def __init__(
        self, units: int, layers: int, words: int, forget_bias: float, scale: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(units, units, layers, batch_first=True)
        self.w_out, self.b_out = nn.Parameter(torch.empty(words, units)), nn.Parameter(torch.zeros(words))
        for name, parameter in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -scale, scale, generator=generator)
            if "bias_hh" in name:
                parameter.requires_grad_(False)[units : 2 * units] = forget_bias

    def forward(self, embedded: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits, and the state after the last step."""
        h, state = self.lstm(embedded, state)
        return nn.functional.linear(h, self.w_out, self.b_out), state
