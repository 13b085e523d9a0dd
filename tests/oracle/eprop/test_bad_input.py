"""Wrong use is one sentence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from repro.eprop import (
    ALIF,
    LIF,
    Bidirectional,
    Feedback,
    Held,
    RateTerm,
    Readout,
    RecurrentLayer,
    SpikeTrains,
    SpikingNetwork,
    UsageError,
    firing_rates,
    spike_trains,
)
from repro.eprop.neurons.neuron import NeuronState
from tests.oracle.eprop.conftest import N_IN, N, make

X = torch.ones(3, 20, N_IN).double()


def one_sentence(error: pytest.ExceptionInfo[UsageError]) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert 20 < len(text) < 400


@pytest.mark.parametrize(
    "x", [X[0], X[..., :3], X[:, :0], X[None], Held(X[..., :2], 5)], ids=["2d", "width", "no_step", "4d", "held"]
)
def test_inputs_of_a_wrong_shape(way: str, x: Any) -> None:
    case = make("lif")
    with pytest.raises(UsageError, match="this layer reads \\[batch, time, 5\\]") as error:
        case._replace(x=x).forward(way)
    one_sentence(error)


LENGTHS = {
    "too_few": (torch.tensor([20, 20]), "shape \\[2\\]"),
    "two_axes": (torch.tensor([[20], [20], [20]]), "shape \\[3, 1\\]"),
    "too_long": (torch.tensor([20, 21, 3]), "between 3 and 21"),
    "negative": (torch.tensor([20, -1, 3]), "between -1 and 20"),
    "not_whole": (torch.tensor([20.0, 1.0, 3.0]), "float32"),
    "a_list": ([20, 1, 3], "type list"),
}


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("which", ["layer", "readout", "pair", "bidirectional"])
def test_wrong_lengths(name: str, which: str) -> None:
    case, (lengths, sentence) = make("lif"), LENGTHS[name]
    both = Bidirectional(case.layer, RecurrentLayer(LIF(), N_IN, N).double())
    run: Any = {
        "layer": lambda: case.layer(X, lengths=lengths),
        "readout": lambda: case.readout(case.layer(X), lengths=lengths),
        "pair": lambda: case.network(X, lengths=lengths),
        "bidirectional": lambda: both(X, lengths=lengths),
    }[which]
    with pytest.raises(UsageError, match=sentence) as error:
        run()
    one_sentence(error)


def test_an_empty_batch_is_no_error(way: str) -> None:
    case = make("lif")._replace(x=X[:0])
    y, z = case.forward(way)
    assert y.shape == (0, 20, 2)
    y, z = case.forward(way, lengths=torch.zeros(0, dtype=torch.int64))
    assert z.shape == (0, 20, N)


def test_states_of_another_batch_layer_or_neuron(way: str) -> None:
    case = make("lif")
    zeros = torch.zeros(3, N).double()
    for state in (
        NeuronState((zeros[:2],), zeros[:2], zeros[:2]),
        NeuronState((zeros[:, :5],), zeros[:, :5], zeros[:, :5]),
        ALIF().initial_state(3, N, zeros),
        NeuronState((), zeros, zeros),
        NeuronState((zeros,), zeros[0], zeros),
    ):
        with pytest.raises(UsageError, match="1 variables \\(v\\), z and refractory, each \\[3, 12\\]") as error:
            case.layer(X, state=state) if way == "two" else case.network(X, state=state)
        one_sentence(error)


@pytest.mark.parametrize("shape", [(3, 3), (2, 2), (1, 2), (2,)])
def test_a_readout_before_of_a_wrong_shape(way: str, shape: tuple[int, ...]) -> None:
    case, before = make("lif"), torch.zeros(shape).double()
    with pytest.raises(UsageError, match="y_before has the shape") as error:
        case.network(X, y_before=before) if way == "pair" else case.readout(case.layer(X), y_before=before)
    one_sentence(error)


@pytest.mark.parametrize(
    ("channel", "start", "sentence"),
    [
        ([5], [0, 1], "channel goes beyond its 5 channels"),
        ([-1], [0, 1], "channel goes beyond its 5 channels"),
        ([4], [0], "start is no place of each step and trial among the 1 events"),
        ([4], [0, 2], "start is no place"),
        ([4], [1, 1], "start is no place"),
        ([4], [0, 1], None),  # control
    ],
)
def test_events_that_lead_outside_of_the_arrays(channel: list[int], start: list[int], sentence: str | None) -> None:
    x = SpikeTrains(torch.tensor(channel), torch.tensor(start), 1, 1, 5)
    layer = RecurrentLayer(LIF(), 5, 3)
    if sentence is None:
        assert torch.equal(layer(x), layer(x.dense()))
        return
    with pytest.raises(UsageError, match=sentence) as error:
        layer(x)
    one_sentence(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["x", "w_in", "w_rec"])
@pytest.mark.parametrize("kind", ["lif", "alif"])
def test_what_is_not_finite_is_not_hidden(way: str, value: float, where: str, kind: str) -> None:
    """NaN in a voltage silences the neuron: the loss and all gradients would be finite."""
    case = make(kind)
    x = case.x.detach().clone()
    if where == "x":
        x[1, 5, 2] = value
    else:
        getattr(case.layer, where).data[3, 1:3] = value
    if where == "w_rec":
        x += 1  # all neurons spike
    with pytest.raises(UsageError, match="no longer finite") as error:
        case._replace(x=x).forward(way)
    one_sentence(error)


def test_nan_of_the_readout_is_seen_in_the_loss(way: str) -> None:
    case = make("lif")
    case.readout.w_out.data[0, 0] = float("nan")
    assert torch.isnan(case.forward(way)[0]).any()


def test_a_readout_of_other_neurons(way: str) -> None:
    case = make("lif")
    with pytest.raises(UsageError, match="reads \\[batch, time, 12\\]"):
        case.readout(torch.ones(3, 20, 11).double())
    with pytest.raises(UsageError, match="have to be equal"):
        SpikingNetwork(case.layer, Readout(N + 1, 2))


@pytest.mark.parametrize("values", [{"tau_m_ms": 0.0}, {"v_th": -1.0}, {"dt_ms": 0.0}, {"refractory_ms": -1}])
@pytest.mark.parametrize("neuron", [LIF, ALIF])
def test_parameters_of_neurons_out_of_range(neuron: type, values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        neuron(**values)


SPIKES = torch.ones(3, 20, N)
MIXED: Any = [SPIKES, 3]
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "endless_refractory": (lambda: ALIF(refractory_ms=float("inf")), "refractory_ms=inf.*0 or more, and finite"),
    "endless_beta": (lambda: ALIF(beta=float("inf")), "beta=inf"),
    "window_text": (lambda: Feedback("random", window_ms="20"), "window_ms='20'.*is a number"),
    "window_nan": (lambda: Feedback("random", window_ms=float("nan")), "window_ms=nan"),
    "window_endless": (lambda: Feedback("random", window_ms=float("inf")), "window_ms=inf.*finite"),
    "other_feedback": (
        lambda: Readout(N, 2).set_extra_state({"seed": 1, "kind": "random", "speed": 2}),
        "feedback do not fit it: .*'speed'",
    ),
    "no_spikes": (lambda: firing_rates([]), "z is an empty sequence"),
    "no_step": (lambda: firing_rates(SPIKES, dt_ms=0), "dt_ms=0.*above 0"),
    "events": (lambda: firing_rates(spike_trains(SPIKES)), "z is of the type SpikeTrains: it is a tensor"),
    "term_of_events": (lambda: RateTerm()(spike_trains(SPIKES)), "z is of the type SpikeTrains: it is a tensor"),
    "a_number": (lambda: firing_rates(3), "z is of the type int: it is a tensor"),
    "numbers": (lambda: firing_rates(MIXED), "z is of the type int"),
    "frames": (lambda: RateTerm()(Held(SPIKES, 5)), "z is of the type Held"),
    "other_trials": (lambda: firing_rates([SPIKES, SPIKES[1:]]), r"\[3, 20, 12\], \[2, 20, 12\].*the same trials"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(name: str) -> None:
    wrong, sentence = REFUSED[name]
    with pytest.raises(UsageError, match=sentence) as error:
        wrong()
    one_sentence(error)


def test_time_constants_may_be_endless() -> None:
    """A membrane that does not leak, and a readout that forgets nothing."""
    assert ALIF(tau_m_ms=float("inf")).alpha == 1
    assert Readout(N, 2, tau_out_ms=float("inf")).kappa == 1


def test_a_readout_keeps_its_feedback_where_a_checkpoint_is_refused() -> None:
    readout = Readout(N, 2, feedback="random")
    seed = readout.feedback_seed
    with pytest.raises(UsageError, match="do not fit"):
        readout.set_extra_state({"seed": seed + 1, "kind": "global", "speed": 2})
    assert (readout.feedback, readout.feedback_seed) == (Feedback("random"), seed)
