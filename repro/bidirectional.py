"""Two networks on one trial: one reads it from the beginning, the other from the end (Graves and Schmidhuber 2005)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from repro.eprop.kernels.events import Spikes
from repro.eprop.neurons.neuron import Neuron
from repro.network import Direction, RecurrentNetwork
from repro.readout import Readout


class Bidirectional(nn.Module):
    """`ahead` and `behind`, and readouts that hear both at the same time of the trial, with a bias (Eq. 41).

    No synapse leads from one to the other. The bias is added behind the filter (the code of the paper's authors);
    within it, as Eq. 41 has it, it would come to b / (1 - kappa). Both share a population's size: `n_rec` counts both.
    """

    def __init__(
        self, neuron: Neuron, readout: Readout, n_in: int, n_each: int, n_out: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.readout, self.n_rec, self.n_out = readout, 2 * n_each, n_out
        self.ahead = RecurrentNetwork(neuron, readout, n_in, n_each, n_out, generator)
        self.behind = RecurrentNetwork(neuron, readout, n_in, n_each, n_out, generator)
        with torch.no_grad():
            for network in (self.ahead, self.behind):  # a readout has twice the presynaptic cells
                network.w_out.mul_(2**-0.5)
        self.b_out = nn.Parameter(torch.zeros(n_out))

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Its networks, and how each reads a trial."""
        return Direction("ahead.", self.ahead), Direction("behind.", self.behind, backwards=True)

    def join(self, sent: Sequence[Spikes], lengths: Tensor | None) -> Tensor:
        """The readouts y [batch, time, readout] of what the directions sent, each in its own order of time
        [batch, time, neuron]; on the tape for the readout's weights. `lengths` [batch] in steps."""
        if lengths is None:
            lengths = torch.full((sent[0].shape[0],), sent[0].shape[1], device=sent[0].device)
        heard: Tensor | float = 0.0
        for direction, z in zip(self.directions, sent, strict=True):
            drive = self.readout.drive(z, direction.network.w_out)
            heard = heard + direction.sees(drive, lengths // self.readout.frame_steps)
        assert isinstance(heard, Tensor)
        return self.readout.filter(heard) + self.b_out
