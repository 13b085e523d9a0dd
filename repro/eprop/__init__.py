"""e-prop for any network: a learning rule is the backward pass of an ordinary torch layer.

    hidden = RecurrentLayer(ALIF(n_adaptive=50), n_in=40, n=100, rule=EProp())
    readout = Readout(100, 2, tau_out_ms=20, feedback="random")
    loss = torch.nn.functional.cross_entropy(readout(hidden(x)).mean(dim=1), label)
    loss.backward()

Everything here is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repro.eprop.errors import NotFiniteError, UsageError
    from repro.eprop.kernels.events import Held, SpikeTrains, spike_trains
    from repro.eprop.kernels.products import matrix_library
    from repro.eprop.layers.algorithm_1 import Algorithm1Loss, WindowLoss
    from repro.eprop.layers.bidirectional import Bidirectional
    from repro.eprop.layers.differentiable import DifferentiableLayer
    from repro.eprop.layers.eligibility import EligibilityTraces, eligibility_traces
    from repro.eprop.layers.eligibility_vectors import EligibilityVectors
    from repro.eprop.layers.error_module import ErrorModule, LinearErrorModule, SpikingErrorModule, one_shot
    from repro.eprop.layers.lstm import LSTMLayer
    from repro.eprop.layers.network import SpikingNetwork
    from repro.eprop.layers.online import Online, online_eprop
    from repro.eprop.layers.readout import Readout
    from repro.eprop.layers.recurrent import RecurrentLayer
    from repro.eprop.neurons.alif import ALIF
    from repro.eprop.neurons.differentiable import LayerWeights
    from repro.eprop.neurons.lif import LIF
    from repro.eprop.neurons.lstm import LSTM, LSTMState
    from repro.eprop.neurons.neuron import Neuron, NeuronState, Trajectory
    from repro.eprop.neurons.rate import Rate
    from repro.eprop.neurons.surrogates import spike
    from repro.eprop.rules.one_shot import ErrorModuleInput, ErrorModuleOutput, OneShot, eprop_update
    from repro.eprop.rules.rate import RateTerm, firing_rates
    from repro.eprop.rules.rule import BPTT, EProp, EProp3, Frozen, Rule, WindowRule
    from repro.eprop.rules.signals import Feedback
    from repro.eprop.rules.synthetic import Algorithm1, Algorithm1Options, SyntheticGradient, Window, window_gradients
    from repro.eprop.rules.traces import Trace
    from repro.eprop.rules.windows import BoundaryGradient

_PLACES = {
    "errors": (
        "NotFiniteError",
        "UsageError",
    ),
    "kernels.events": (
        "Held",
        "SpikeTrains",
        "spike_trains",
    ),
    "kernels.products": ("matrix_library",),
    "layers.algorithm_1": (
        "Algorithm1Loss",
        "WindowLoss",
    ),
    "layers.bidirectional": ("Bidirectional",),
    "layers.differentiable": ("DifferentiableLayer",),
    "layers.eligibility": (
        "EligibilityTraces",
        "eligibility_traces",
    ),
    "layers.eligibility_vectors": ("EligibilityVectors",),
    "layers.error_module": (
        "ErrorModule",
        "LinearErrorModule",
        "SpikingErrorModule",
        "one_shot",
    ),
    "layers.lstm": ("LSTMLayer",),
    "layers.network": ("SpikingNetwork",),
    "layers.online": (
        "Online",
        "online_eprop",
    ),
    "layers.readout": ("Readout",),
    "layers.recurrent": ("RecurrentLayer",),
    "neurons.alif": ("ALIF",),
    "neurons.differentiable": ("LayerWeights",),
    "neurons.lif": ("LIF",),
    "neurons.lstm": (
        "LSTM",
        "LSTMState",
    ),
    "neurons.neuron": (
        "Neuron",
        "NeuronState",
        "Trajectory",
    ),
    "neurons.rate": ("Rate",),
    "neurons.surrogates": ("spike",),
    "rules.one_shot": (
        "ErrorModuleInput",
        "ErrorModuleOutput",
        "OneShot",
        "eprop_update",
    ),
    "rules.rate": (
        "RateTerm",
        "firing_rates",
    ),
    "rules.rule": (
        "BPTT",
        "EProp",
        "EProp3",
        "Frozen",
        "Rule",
        "WindowRule",
    ),
    "rules.signals": ("Feedback",),
    "rules.synthetic": (
        "Algorithm1",
        "Algorithm1Options",
        "SyntheticGradient",
        "Window",
        "window_gradients",
    ),
    "rules.traces": ("Trace",),
    "rules.windows": ("BoundaryGradient",),
}
_PLACE_OF = {name: f"repro.eprop.{place}" for place, names in _PLACES.items() for name in names}
__all__ = [
    "ALIF",
    "BPTT",
    "LIF",
    "LSTM",
    "Algorithm1",
    "Algorithm1Loss",
    "Algorithm1Options",
    "Bidirectional",
    "BoundaryGradient",
    "DifferentiableLayer",
    "EProp",
    "EProp3",
    "EligibilityTraces",
    "EligibilityVectors",
    "ErrorModule",
    "ErrorModuleInput",
    "ErrorModuleOutput",
    "Feedback",
    "Frozen",
    "Held",
    "LSTMLayer",
    "LSTMState",
    "LayerWeights",
    "LinearErrorModule",
    "Neuron",
    "NeuronState",
    "NotFiniteError",
    "OneShot",
    "Online",
    "Rate",
    "RateTerm",
    "Readout",
    "RecurrentLayer",
    "Rule",
    "SpikeTrains",
    "SpikingErrorModule",
    "SpikingNetwork",
    "SyntheticGradient",
    "Trace",
    "Trajectory",
    "UsageError",
    "Window",
    "WindowLoss",
    "WindowRule",
    "eligibility_traces",
    "eprop_update",
    "firing_rates",
    "matrix_library",
    "one_shot",
    "online_eprop",
    "spike",
    "spike_trains",
    "window_gradients",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACE_OF:
        raise AttributeError(f"module 'repro.eprop' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(_PLACE_OF)
