"""The comparison of Fig. 2c: one bidirectional layer of torch's LSTM, trained by autograd."""

import torch
from torch import Tensor, nn

from repro.eprop.kernels.padding import flip


class BidirectionalLSTM(nn.Module):
    """Frames [batch, frame, feature] -> readouts [batch, frame, phone]; each direction begins at its end of one.

    The same as torch's bidirectional layer on packed sequences, whose backward pass on a CPU takes ten times as long.
    """

    def __init__(self, n_in: int, n_each: int, n_out: int, generator: torch.Generator) -> None:
        super().__init__()
        self.ahead = nn.LSTM(n_in, n_each, batch_first=True)
        self.behind = nn.LSTM(n_in, n_each, batch_first=True)
        self.readout = nn.Linear(2 * n_each, n_out)
        for parameter in self.parameters():  # torch's own distribution, from the run's own random numbers
            nn.init.uniform_(parameter, -(n_each**-0.5), n_each**-0.5, generator=generator)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` [batch] in frames."""
        ahead, behind = self.ahead(frames)[0], self.behind(flip(frames, lengths))[0]
        readout: Tensor = self.readout(torch.cat([ahead, flip(behind, lengths)], dim=-1))
        return readout
