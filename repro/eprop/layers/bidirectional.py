"""Two layers on one trial: one reads it from the beginning, the other from the end (Graves and Schmidhuber 2005)."""

from typing import Any

import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError
from repro.eprop.kernels.events import Held, Inputs, SpikeTrains
from repro.eprop.kernels.padding import flip
from repro.eprop.layers.recurrent import RecurrentLayer, check_inputs
from repro.eprop.rules.rule import Rule


class Bidirectional(nn.Module):
    """`forward_layer` reads a trial from its beginning, `backward_layer` from its end; no synapse joins them.

    Each has its own rule; to set `rule` sets both. Both read the same inputs.
    """

    def __init__(self, forward_layer: RecurrentLayer, backward_layer: RecurrentLayer) -> None:
        super().__init__()
        for layer in (forward_layer, backward_layer):
            if not isinstance(layer, RecurrentLayer):
                raise UsageError(f"a Bidirectional has two RecurrentLayers, not {type(layer).__name__}")
        if forward_layer.n_in != backward_layer.n_in:
            raise UsageError(
                f"the two directions read {forward_layer.n_in} and {backward_layer.n_in} inputs: they read the same"
            )
        self.forward_layer, self.backward_layer = forward_layer, backward_layer

    @property
    def n(self) -> int:
        """Neurons of both directions."""
        return self.forward_layer.n + self.backward_layer.n

    @property
    def rule(self) -> Rule:
        """The learning rule of both directions. Raises UsageError where they differ."""
        forward, backward = self.forward_layer.rule, self.backward_layer.rule
        if forward != backward:
            raise UsageError(f"the two directions have the rules {forward} and {backward}: read them of each layer")
        return forward

    @rule.setter
    def rule(self, rule: Rule) -> None:
        self.forward_layer.rule = self.backward_layer.rule = rule

    def forward(self, x: Inputs, lengths: Tensor | None = None) -> Tensor:
        """Outputs z [batch, time, neuron of both], in the trial's order of time, of inputs x [batch, time, input].

        `lengths` [batch] in steps: each trial is read from its own end. See `RecurrentLayer.forward`.
        """
        check_inputs(self.forward_layer, x, None, lengths)
        ends = trial_lengths(x, lengths)
        forward = self.forward_layer(x, lengths=lengths)
        backward = flip(self.backward_layer(turned(x, ends), lengths=lengths), ends)
        return torch.cat([forward, backward], dim=2)


def trial_lengths(x: Inputs, lengths: Tensor | None) -> Tensor:
    """The steps of each trial [batch]."""
    return torch.full((x.shape[0],), x.shape[1], device=x.device) if lengths is None else lengths


def turned(x: Inputs, ends: Tensor) -> Any:
    """Inputs in the order of time of a layer that reads them from the end."""
    if isinstance(x, Held) and bool((ends % x.steps_each).any()):
        x = x.dense(x.frames.dtype)  # a trial that ends within a frame begins with that part of it
    return flip(x.dense() if isinstance(x, SpikeTrains) else x, ends)
