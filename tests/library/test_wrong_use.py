"""Wrong values are refused in one sentence where they are handed in."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from repro.eprop import (
    ALIF,
    BPTT,
    LIF,
    LSTM,
    Bidirectional,
    DifferentiableLayer,
    EProp,
    EProp3,
    Held,
    LSTMLayer,
    Neuron,
    RateTerm,
    Readout,
    RecurrentLayer,
    Rule,
    SpikingNetwork,
    UsageError,
    spike_trains,
)

X = (torch.rand(2, 20, 5, generator=torch.Generator().manual_seed(0)) < 0.3).float()


def layer(neuron: Any = None, **options: Any) -> RecurrentLayer:
    return RecurrentLayer(LIF() if neuron is None else neuron, 5, 8, **options)


def run(made: RecurrentLayer, x: Any = X) -> None:
    Readout(made.n, 2)(made(x)).sum().backward()


class Straight:
    """Returns the spikes up to rounding."""

    def __call__(self, x: Tensor) -> Tensor:
        soft = torch.sigmoid(1000 * x)
        return (x > 0).to(x.dtype) + soft - soft.detach()


class Learned(nn.Module):
    """A surrogate with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return Straight()(self.slope * x)


class Bool(torch.autograd.Function):
    """Returns bool."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x > 0


class NoSlope(torch.autograd.Function):
    """Has no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        return None


@dataclasses.dataclass(frozen=True)
class Leaky(Neuron):
    """A neuron of the user's, with whatever update and output."""

    changed: Any = lambda v, i: (0.9 * v[0] + i,)
    sent: Any = lambda v: torch.tanh(v[0])
    names: ClassVar[tuple[str, ...]] = ("s",)

    def update(self, variables: Any, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Any:
        return self.changed(variables, current)

    def output(self, variables: Any) -> Any:
        return self.sent(variables)


@dataclasses.dataclass(frozen=True)
class Unnamed(Leaky):
    """A neuron whose names are no tuple."""

    names: ClassVar[Any] = "s"


@dataclasses.dataclass(frozen=True)
class Scaled(Leaky):
    """A neuron with a field that might learn."""

    scale: Any = 1.0


@dataclasses.dataclass(frozen=True)
class AnyDelta(Rule):
    """A rule of the user's, with whatever delta."""

    found: Any = None

    def delta(self, neuron: Neuron, trajectory: Any, signal: Tensor, w_rec: Tensor) -> Any:
        return self.found(trajectory, signal)


@dataclasses.dataclass(frozen=True)
class Keeps(AnyDelta):
    """The same, which reads the variables."""

    keeps_variables: ClassVar[bool] = True


class Plain(Rule):
    """No dataclass."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def delta(self, neuron: Neuron, trajectory: Any, signal: Tensor, w_rec: Tensor) -> Tensor:
        return self.factor * signal


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    # neurons
    "neuron_class": (lambda: layer(LIF), r"neuron=the class LIF\): it is a Neuron, such as LIF\(\)"),
    "neuron_name": (lambda: layer("LIF"), r"neuron='LIF'\): it is a Neuron"),
    "order": (lambda: RecurrentLayer(8, 5, LIF()), r"neuron=8\): it is a Neuron"),
    "lstm_in_recurrent": (lambda: layer(LSTM()), r"use LSTMLayer\(LSTM\(\), n_in, n\)"),
    "lif_in_lstm": (lambda: LSTMLayer(LIF(), 5, 8), r"it is LSTM\(\); other neurons"),
    "tau_name": (lambda: LIF(tau_m_ms="20"), "tau_m_ms='20'.*a number, above 0"),
    "tau_nan": (lambda: LIF(tau_m_ms=float("nan")), "tau_m_ms=nan"),
    "tau_tensor": (lambda: LIF(tau_m_ms=torch.full((8,), 20.0)), "tau_m_ms=a Tensor"),
    "tau_out": (lambda: Readout(8, 2, tau_out_ms="20"), "tau_out_ms='20'"),
    "dampening": (lambda: LIF(dampening=-1), "dampening=-1.*a number, 0 or more"),
    "beta": (lambda: ALIF(beta=-0.1), "beta=-0.1"),
    "many_adapt": (lambda: layer(ALIF(n_adaptive=9)), r"n_adaptive=9\): the layer has 8 neurons"),
    "many_adapt_differentiable": (lambda: DifferentiableLayer(ALIF(n_adaptive=9), 5, 8), "the layer has 8 neurons"),
    "share_adapts": (lambda: ALIF(n_adaptive=0.5), "n_adaptive=0.5.*a whole number, 0 or more"),
    "bool_adapts": (lambda: ALIF(n_adaptive=True), "n_adaptive=True"),
    "parameter": (lambda: layer(Scaled(scale=nn.Parameter(torch.ones(())))), "Scaled.scale requires a gradient: param"),
    "module": (lambda: layer(LIF(surrogate=Learned())), "LIF.surrogate requires a gradient"),
    "names": (lambda: layer(Unnamed()), "Unnamed.names='s': it is a tuple of the names"),
    "update_tensor": (lambda: run(layer(Leaky(lambda v, i: v[0] + i))), r"update returned a tensor \[2, 8\]"),
    "update_two": (lambda: run(layer(Leaky(lambda v, i: (i, i)))), "update returned a tuple of a tensor.*tuple of 1"),
    "update_none": (lambda: run(layer(Leaky(lambda v, i: None))), "update returned NoneType"),
    "output_shape": (lambda: run(layer(Leaky(sent=lambda v: v[0].mean(1)))), r"output returned a tensor \[2\]"),
    "output_bool": (lambda: run(layer(Leaky(sent=lambda v: v[0] > 0))), "of torch.bool: it returns z"),
    # surrogates
    "surrogate_name": (lambda: LIF(surrogate="fast"), "surrogate='fast'"),
    "surrogate_class": (lambda: LIF(surrogate=Straight), "the class Straight"),
    "surrogate_bool": (lambda: run(layer(LIF(surrogate=Bool))), "the shape and the dtype of its argument"),
    "surrogate_steps": (lambda: run(layer(LIF(surrogate=lambda x: (x > 0).float()))), "LIF has no derivative"),
    "surrogate_none": (lambda: run(layer(LIF(surrogate=NoSlope))), "LIF has no derivative"),
    "surrogate_soft": (lambda: run(layer(LIF(surrogate=torch.sigmoid))), "has to return 1 where its argument is pos"),
    # rules
    "eprop_3": (lambda: layer(rule=EProp3()), "learns in windows, of LSTM layers"),
    "clopath": (lambda: layer(Leaky(), rule=EProp("clopath")), "defined for LIF neurons"),
    "no_trace": (lambda: EProp(None), "trace=None: it is one of full, truncated, presynaptic, clopath"),
    "trace_number": (lambda: EProp(3), "trace=3"),
    "no_dataclass": (lambda: layer(rule=Plain(3.0)), "Plain is no dataclass, and a checkpoint would lose its values"),
    "delta_none": (lambda: run(layer(rule=AnyDelta(lambda t, s: None))), "AnyDelta.delta returned NoneType"),
    "delta_shape": (lambda: run(layer(rule=AnyDelta(lambda t, s: s.mean(1)))), r"a tensor \[2, 8\]: it returns"),
    "variables": (lambda: run(layer(rule=AnyDelta(lambda t, s: s * t.variables[0]))), "has keeps_variables = True"),
    "unpacked": (lambda: run(layer(rule=AnyDelta(lambda t, s: next(iter(t.variables))))), "keeps_variables = True"),
    # sizes
    "n": (lambda: RecurrentLayer(LIF(), 5, -3), r"RecurrentLayer\(n=-3\): n is a whole number, 1 or more"),
    "n_in": (lambda: RecurrentLayer(LIF(), 0, 8), "n_in=0"),
    "n_float": (lambda: RecurrentLayer(LIF(), 5, 8.0), "n=8.0"),
    "n_bool": (lambda: RecurrentLayer(LIF(), 5, True), "n=True"),
    "n_lstm": (lambda: LSTMLayer(LSTM(), 5, 0), r"LSTMLayer\(n=0\)"),
    "n_out": (lambda: Readout(8, 0), r"Readout\(n_out=0\)"),
    "frame_steps": (lambda: Readout(8, 2, frame_steps=2.5), "frame_steps=2.5"),
    # inputs
    "numpy": (lambda: layer()(X.numpy()), "input is of the type ndarray: it is a tensor, SpikeTrains or Held"),
    "list": (lambda: layer()(X.tolist()), "input is of the type list"),
    "complex": (lambda: layer()(X.to(torch.complex64)), "input is complex: it is a dense tensor of real numbers"),
    "sparse": (lambda: layer()(X.to_sparse()), "input is sparse or nested"),
    "numpy_to_pair": (lambda: SpikingNetwork(layer(), Readout(8, 2))(X.numpy()), "input is of the type ndarray"),
    "numpy_both_ways": (lambda: Bidirectional(layer(), layer())(X.numpy()), "input is of the type ndarray"),
    "numpy_to_lstm": (lambda: LSTMLayer(LSTM(), 5, 8)(X.numpy()), "x is of the type ndarray: it is a tensor"),
    "numpy_differentiable": (lambda: DifferentiableLayer(LIF(), 5, 8)(X.numpy()), "input is of the type ndarray"),
    "pair_to_readout": (
        lambda: Readout(8, 2)(layer()(X, return_state=True)),
        r"input is of the type tuple: .*; did you mean z, state = layer\(x, return_state=True\)\?",
    ),
    "held_2d": (lambda: layer()(Held(X[0], 5)), r"Held has frames of the shape \[20, 5\]"),
    "held_0": (lambda: layer()(Held(X, 0)), r"Held\(steps_each=0\)"),
    "state_tensor": (lambda: layer()(X, torch.zeros(2, 8)), "state is a Tensor: it is what return_state=True gave"),
    "state_pair": (lambda: layer()(X, layer()(X, return_state=True)), "state is a tuple"),
    "state_lstm": (lambda: LSTMLayer(LSTM(), 5, 8)(X, torch.zeros(2, 2, 8)), "state is a Tensor: it is an LSTMState"),
    "y_before": (lambda: Readout(8, 2)(torch.zeros(2, 20, 8), 0.0), r"y_before is a float: it is a tensor \[2, 2\]"),
    "trains_of_values": (lambda: spike_trains(0.5 * X), "zeros and ones: give an array of other values to the layer"),
    "trains_2d": (lambda: spike_trains(X[0]), r"spikes \[batch, time, channel\], not of the shape \[20, 5\]"),
    "trains_numpy": (lambda: spike_trains(X.numpy()), "spike_trains is of the type ndarray"),
    # rates
    "cost": (lambda: RateTerm(cost=-1), "cost=-1"),
    "rates_2d": (lambda: RateTerm()(X[0]), r"z has the shape \[20, 5\]: firing rates are those of"),
}


@pytest.mark.parametrize("name", CASES)
def test_wrong_use_is_refused_in_a_sentence(name: str) -> None:
    wrong, sentence = CASES[name]
    with pytest.raises(UsageError, match=sentence) as error:
        wrong()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_what_is_right_is_not_refused() -> None:
    for made in (
        layer(),
        layer(ALIF(n_adaptive=8)),
        layer(ALIF(n_adaptive=0, beta=0.0, dampening=0.0)),
        layer(LIF(surrogate=Straight())),
        layer(Leaky(), rule=EProp()),
        layer(Scaled(scale=torch.ones(())), rule=EProp()),
        layer(rule=Keeps(lambda t, s: s * t.variables[0])),
        layer(rule=AnyDelta(lambda t, s: (s * t.h).double())),
    ):
        for x in (X, X.long(), X.bool(), spike_trains(X), Held(X, 3)):
            made.zero_grad()
            run(made, x)
            assert made.w_in.grad is not None
    assert torch.equal(spike_trains(X.bool()).dense(), X)


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
def test_an_empty_batch_has_no_gradient_and_is_no_error(rule: Rule) -> None:
    made = layer(rule=rule)
    run(made, X[:0])
    for parameter in made.parameters():
        assert torch.equal(parameter.grad, torch.zeros_like(parameter))
