"""States, events and vectors are saved and loaded by torch as it is, and what follows is the same to the bit."""

import io
from typing import Any

import pytest
import torch

from repro.eprop import LSTM, EProp, EProp3, Held, LSTMLayer, Rule, spike_trains
from repro.eprop.neurons.lstm import LSTMState
from repro.eprop.neurons.neuron import NeuronState
from tests.oracle.eprop.conftest import make


def through_a_file(saved: Any) -> Any:
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("rule", [EProp(), EProp3()])
@pytest.mark.parametrize("steps", [4, 40], ids=["history", "vectors"])
def test_a_sequence_of_an_lstm_goes_on_from_a_checkpoint(rule: Rule, steps: int) -> None:
    layer = LSTMLayer(LSTM(), 5, 6, rule=rule)
    x = torch.randn(3, 3 * steps, 5)
    first, second, third = x.split(steps, dim=1)
    vectors, restored = layer.eligibility_vectors(3), layer.eligibility_vectors(3)
    h, state = layer(first, eligibility_vectors=vectors, return_state=True)
    h.sin().sum().backward()
    h, state = layer(second, state, eligibility_vectors=vectors, return_state=True)
    h.sin().sum().backward()
    loaded = through_a_file({"vectors": vectors.state_dict(), "state": state})
    assert type(loaded["state"]) is LSTMState
    restored.load_state_dict(loaded["vectors"])

    def gradient(state: LSTMState, **options: Any) -> torch.Tensor:
        return torch.autograd.grad(layer(third, state, **options).sin().sum(), layer.w_rec)[0]

    wanted = gradient(state, eligibility_vectors=vectors)
    assert torch.equal(gradient(loaded["state"], eligibility_vectors=restored), wanted)
    assert not torch.equal(gradient(state), wanted)  # control: without the vectors


def test_a_trial_goes_on_from_a_saved_state(neuron: str) -> None:
    case = make(neuron, x_learns=False)
    _, state = case.layer(case.x, return_state=True)
    loaded = through_a_file(state)
    assert type(loaded) is NeuronState
    wanted = case.layer(case.x, state)
    assert torch.equal(case.layer(case.x, loaded), wanted)
    assert not torch.equal(case.layer(case.x), wanted)  # control: from rest


def test_a_state_is_converted_to_the_layer_s_precision(neuron: str) -> None:
    case = make(neuron, dtype=torch.float32)
    _, state = case.layer(case.x, return_state=True)
    wanted = case.layer(case.x, state)
    double = NeuronState(tuple(v.double() for v in state.variables), state.z.double(), state.refractory.double())
    z = case.layer(case.x, double)
    assert z.dtype == torch.float32 and torch.equal(z, wanted)
    z.sum().backward()
    assert case.x.grad is not None and case.x.grad.dtype == torch.float32


def test_inputs_are_saved_as_events_and_frames() -> None:
    x = make("lif", x_learns=False).x
    assert torch.equal(through_a_file(spike_trains(x)).dense(torch.float64), x)
    assert torch.equal(through_a_file(Held(x, 5)).dense(torch.float64), x.repeat_interleave(5, dim=1))
