"""Checks of the neurons and rules that a user has written."""

from typing import Any

from torch import Tensor, nn

from repro.eprop.errors import UsageError, shown
from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.lstm import LSTM
from repro.eprop.neurons.neuron import Neuron, NeuronState
from repro.eprop.rules.rule import Rule

DYNAMICS = ("update", "output", "step", "threshold", "spike", "local")  # of LIF and ALIF neurons, as kernels have them


def checked(rule: Rule, method: str, value: Any, signal: Tensor) -> Tensor:
    """What a method of a rule returned, in the signal's precision. Raises UsageError for another shape."""
    if not isinstance(value, Tensor) or value.shape != signal.shape:
        kind = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(
            f"{type(rule).__name__}.{method} returned {kind}: it returns a tensor of the signal's shape, "
            f"{list(signal.shape)}"
        )
    return value.to(signal.dtype)


def check_state(neuron: Neuron, state: Any, wanted: tuple[int, int]) -> None:
    """Raises UsageError for what is no state [batch, neuron] of such neurons, nor None."""
    if state is None:
        return
    if not isinstance(state, NeuronState):
        raise UsageError(
            f"state is a {type(state).__name__}: it is what return_state=True gave beside the outputs, or a "
            "DifferentiableLayer's trajectory.after"
        )
    shapes = [tuple(array.shape) for array in (*state.variables, state.z, state.refractory)]
    if len(state.variables) != len(neuron.names) or any(shape != wanted for shape in shapes):
        raise UsageError(
            f"the state has arrays of the shapes {shapes}: this layer's has {len(neuron.names)} variables "
            f"({', '.join(neuron.names)}), z and refractory, each {list(wanted)}"
        )


def check_neuron(neuron: Any) -> None:
    """Raises UsageError for what is no neuron of a RecurrentLayer, for one with parameters, and for a LIF or ALIF whose
    dynamics the kernels do not have."""
    if isinstance(neuron, LSTM):
        raise UsageError("LSTM() is no neuron of a RecurrentLayer: use LSTMLayer(LSTM(), n_in, n)")
    if not isinstance(neuron, Neuron):
        raise UsageError(f"RecurrentLayer(neuron={shown(neuron)}): it is a Neuron, such as LIF() or ALIF()")
    name, names = type(neuron).__name__, getattr(neuron, "names", None)
    if isinstance(neuron, IntegrateAndFire) and type(neuron).simulate is IntegrateAndFire.simulate:
        known = ALIF if isinstance(neuron, ALIF) else LIF
        for method in DYNAMICS:
            if getattr(type(neuron), method) is not getattr(known, method):
                raise UsageError(
                    f"{name}.{method} would not be called: {known.__name__} is simulated by kernels; make the class a "
                    "Neuron, or define its simulate too"
                )
    if not isinstance(names, tuple) or not names:
        raise UsageError(f'{name}.names={shown(names)}: it is a tuple of the names of its variables, such as ("v",)')
    for field, value in vars(neuron).items():
        tensors = value.parameters() if isinstance(value, nn.Module) else [value]
        if any(isinstance(tensor, Tensor) and tensor.requires_grad for tensor in tensors):
            raise UsageError(
                f"{name}.{field} requires a gradient: parameters inside a neuron are constants, and no rule trains them"
            )
