"""Checks of the neurons and rules that a user has written."""

from typing import Any

from torch import Tensor, nn

from repro.eprop.errors import UsageError, shown
from repro.eprop.neurons.lstm import LSTM
from repro.eprop.neurons.neuron import Neuron
from repro.eprop.rules.rule import Rule


def checked(rule: Rule, method: str, value: Any, signal: Tensor) -> Tensor:
    """What a method of a rule returned, in the signal's precision. Raises UsageError for another shape."""
    if not isinstance(value, Tensor) or value.shape != signal.shape:
        kind = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(
            f"{type(rule).__name__}.{method} returned {kind}: it returns a tensor of the signal's shape, "
            f"{list(signal.shape)}"
        )
    return value.to(signal.dtype)


def check_neuron(neuron: Any) -> None:
    """Raises UsageError for what is no neuron of a RecurrentLayer, and for one with parameters."""
    if isinstance(neuron, LSTM):
        raise UsageError("LSTM() is no neuron of a RecurrentLayer: use LSTMLayer(LSTM(), n_in, n)")
    if not isinstance(neuron, Neuron):
        raise UsageError(f"RecurrentLayer(neuron={shown(neuron)}): it is a Neuron, such as LIF() or ALIF()")
    name, names = type(neuron).__name__, getattr(neuron, "names", None)
    if not isinstance(names, tuple) or not names:
        raise UsageError(f'{name}.names={shown(names)}: it is a tuple of the names of its variables, such as ("v",)')
    for field, value in vars(neuron).items():
        tensors = value.parameters() if isinstance(value, nn.Module) else [value]
        if any(isinstance(tensor, Tensor) and tensor.requires_grad for tensor in tensors):
            raise UsageError(
                f"{name}.{field} requires a gradient: parameters inside a neuron are constants, and no rule trains them"
            )
