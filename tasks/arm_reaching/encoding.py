"""Encoding of the target movement as an input of the error module (task 2.1).

The text states only that its input has y*. Two readings: the two coordinates themselves ("analogue"), or the spikes
of a population for each of them ("population", the authors' code, from which the constants are).
"""

import torch
from torch import Tensor

from repro.errors import unknown

ENCODINGS = ("analogue", "population")
FURTHEST = 1.4  # centres of tuning curves are spread evenly over [-FURTHEST, FURTHEST]
WIDTH = 0.2  # standard deviation of a tuning curve
PEAK_HZ = 200.0


def encoded(encoding: str, positions: Tensor, neurons: int, dt_ms: float, random: torch.Generator) -> Tensor:
    """The error module's input [batch, time, feature] from y* [batch, time, (x, y)].

    `neurons` a coordinate are what "population" takes. Raises UserError for an unknown encoding.
    """
    _check(encoding)
    return positions if encoding == "analogue" else population(positions, neurons, dt_ms, random)


def n_features(encoding: str, neurons: int) -> int:
    """Number of features that `encoded` returns. Raises UserError for an unknown encoding."""
    _check(encoding)
    return 2 if encoding == "analogue" else 2 * neurons


def population(positions: Tensor, neurons: int, dt_ms: float, random: torch.Generator) -> Tensor:
    """Spikes [batch, time, neuron of x, then of y] of positions [batch, time, (x, y)].

    In each step a neuron spikes with the probability from `rates_hz`, independently of all others.
    """
    chance = rates_hz(positions, neurons) * (dt_ms / 1000)
    return (torch.rand(chance.shape, generator=random) < chance).to(positions.dtype)


def rates_hz(positions: Tensor, neurons: int) -> Tensor:
    """Firing rates [batch, time, neuron of x, then of y]: a Gaussian around the neuron's preferred coordinate."""
    centres = torch.linspace(-FURTHEST, FURTHEST, neurons, dtype=positions.dtype)
    distance = positions[..., None] - centres
    return (PEAK_HZ * torch.exp(-(distance**2) / (2 * WIDTH**2))).flatten(start_dim=-2)


def _check(encoding: str) -> None:
    if encoding not in ENCODINGS:
        raise unknown("encoding of the target", encoding, ENCODINGS)
