"""The differentiable layer and error modules as torch modules: precision, draws, saved weights, wrong use."""

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.layers.differentiable import DifferentiableLayer
from repro.eprop.layers.error_module import LinearErrorModule, SpikingErrorModule
from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.differentiable import DifferentiableTrajectory, LayerWeights
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.neuron import NeuronState
from repro.eprop.neurons.rate import Rate
from repro.eprop.rules.one_shot import eprop_update
from tests.oracle.eprop.inner_loop import BATCH, DECAY, RATE, STEPS, N
from tests.oracle.eprop.inner_loop import make as problem
from tests.oracle.eprop.test_differentiable_layer import function, gradients, inputs, make, make_weights
from tests.oracle.eprop.unrolled import NEURONS, draw, relative


def test_weights_are_drawn_over_the_root_of_presynaptic_cells() -> None:
    layer = DifferentiableLayer(NEURONS["lif"], 9, 16, generator=torch.Generator().manual_seed(3))
    random = torch.Generator().manual_seed(3)
    assert torch.equal(layer.w_in, torch.randn(16, 9, generator=random) / 3)
    assert torch.equal(layer.w_rec, (torch.randn(16, 16, generator=random) / 4).fill_diagonal_(0))


def test_weights_are_saved_and_loaded() -> None:
    layer, other, x, file = make(seed=1), make(seed=2), inputs(), io.BytesIO()
    assert not torch.equal(layer(x).z, other(x).z)
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert list(layer.state_dict()) == ["w_in", "w_rec"]
    assert torch.equal(layer(x).z, other(x).z)


def test_under_autocast_it_computes_in_its_own_precision() -> None:
    layer, x = make().float(), inputs().detach().float()
    below, above = make("alif").float(), make(n_in=N)
    weights = LayerWeights(*(w.detach().float().requires_grad_() for w in make_weights(above, each=True)))
    above.float()

    def results() -> tuple[Tensor, ...]:
        dense, stacked = layer(x), above(below(x), weights)
        leaves = [*layer.weights, *below.weights, *weights]
        total = function(dense.z.double(), dense.h.double()) + function(stacked.z.double(), stacked.h.double())
        return dense.h, stacked.h, *torch.autograd.grad(total, leaves)

    wanted = results()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = results()
        shortened = layer(x.bfloat16())  # as an earlier layer returns it
    assert all(torch.equal(result, of) for result, of in zip(reduced, wanted, strict=True))
    assert shortened.z.dtype == torch.float32 and not torch.equal(shortened.h, wanted[0])


def test_gradients_are_not_differentiated_again() -> None:
    layer, x = make(), inputs()
    trajectory = layer(x)
    (once,) = torch.autograd.grad(function(trajectory.z, trajectory.h), [layer.w_rec], create_graph=True)
    trajectory = layer(x)
    assert torch.equal(once, gradients(trajectory.z, trajectory.h, [layer.w_rec])[0])
    with pytest.raises(UsageError, match="cannot be differentiated again: .* compute it with eprop_update"):
        once.square().sum().backward()


def test_what_is_not_finite_is_not_hidden() -> None:
    layer, x = make(), inputs().detach()
    x[0, 5, 2] = float("nan")
    with pytest.raises(UsageError, match="no longer finite"):
        layer(x)


def wrong_state() -> NeuronState:
    return NeuronState((torch.zeros(BATCH, N),) * 2, torch.zeros(BATCH, N), torch.zeros(BATCH, N))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: DifferentiableLayer(LIF(surrogate=torch.sigmoid), 3, 4), "LIF.surrogate=....* leave surrogate out"),
        (lambda: DifferentiableLayer(ALIF(surrogate=torch.sigmoid), 3, 4), "ALIF.surrogate=....* leave surrogate out"),
        (lambda: DifferentiableLayer(Rate(), 3, 4), "Rate has no differentiable trajectory: take LIF.. or ALIF"),
        (lambda: DifferentiableLayer(LIF(), 0, 4), "n_in=0.: n_in is a whole number, 1 or more"),
        (lambda: make().bfloat16()(inputs()), "weights in bfloat16: it computes in float32 or float64"),
        (lambda: make().half()(inputs()), "weights in float16: it computes in float32 or float64"),
        (lambda: make()(inputs(), make().float().weights), None),
        (lambda: make()(inputs(), LayerWeights(make().w_in.float(), make().w_rec)), "float32 and float64"),
        (lambda: make()(inputs()[:, :, :3]), "they are .batch, time, input. with 5 inputs"),
        (lambda: make()(inputs()[:, 0]), "they are .batch, time, input. with 5 inputs"),
        (lambda: make()(inputs()[:, :0]), "they are .batch, time, input. with 5 inputs"),
        (
            lambda: make()(inputs(), LayerWeights(make().w_rec, make().w_rec)),
            "weights.w_in of the shape .12, 12.: it is",
        ),
        (
            lambda: make()(inputs()[:2], make_weights(make(), True)),
            r"it is \(12, 5\), or \(2, 12, 5\) where each trial",
        ),
        (
            lambda: make()(inputs(), None, wrong_state()),
            "the state has arrays of the shapes .*: this layer's has 1 variables",
        ),
        (lambda: make()(inputs(), None, make()(inputs()[:1]).after), r"z and refractory, each"),
        (lambda: make()(inputs(), None, torch.zeros(BATCH, N)), "state is a Tensor: it is what return_state=True gave"),
        (lambda: make()(inputs()[:2], None, make()(inputs()).after), r"z and refractory, each \[2, 12\]"),
    ],
)
def test_wrong_use_of_the_layer_is_one_sentence(call, sentence: str | None) -> None:
    if sentence is None:  # control: float32 weights are as good as any
        assert isinstance(call(), DifferentiableTrajectory)
        return
    with pytest.raises(UsageError, match=sentence):
        call()


def test_weights_of_error_modules_are_drawn_and_saved() -> None:
    seed = lambda: torch.Generator().manual_seed(3)  # noqa: E731
    spiking = SpikingErrorModule(LIF(), 5, 7, 4, 9, decay=DECAY, generator=seed())
    random = seed()
    assert torch.equal(spiking.w_in, torch.randn(9, 16, generator=random) / 4)
    assert torch.equal(spiking.w_rec, (torch.randn(9, 9, generator=random) / 3).fill_diagonal_(0))
    assert torch.equal(spiking.w_out, torch.randn(7, 9, generator=random) / 3)
    linear, random = LinearErrorModule(5, 7, 4, decay=DECAY, generator=seed()), seed()
    for name, shape in (("w_in", (7, 5)), ("w_rec", (7, 7)), ("w_target", (7, 4))):
        assert torch.equal(linear.get_parameter(name), torch.randn(*shape, generator=random) / 4)
    for module, other in (
        (spiking, SpikingErrorModule(LIF(), 5, 7, 4, 9, decay=DECAY)),
        (linear, LinearErrorModule(5, 7, 4, decay=DECAY)),
    ):
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("kind", ["spiking", "linear"])
def test_under_autocast_one_shot_learning_computes_in_its_own_precision(kind: str) -> None:
    case = problem(kind, dtype=torch.float32)

    def results() -> tuple[Tensor, ...]:
        done = case.one_shot()
        h = done.test.trajectory.h
        return done.module_output.signal, *torch.autograd.grad(
            h.square().sum(), [*case.layer.parameters(), *case.error_module.parameters()]
        )

    wanted = results()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = results()
    assert all(torch.equal(result, of) for result, of in zip(reduced, wanted, strict=True))
    doubled = problem(kind)
    assert relative(doubled.one_shot().module_output.signal.float(), wanted[0]) < 1e-4


def update(signal: Tensor, trace: str) -> Any:
    layer, _, _, inputs, _ = problem("linear")
    return eprop_update(layer.weights, inputs, layer(inputs), signal, layer.neuron, RATE, trace)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: update(draw(BATCH, STEPS, N), "clopath"), "trace='clopath': .* by the trace 'full' or 'truncated'"),
        (lambda: update(draw(BATCH, STEPS, 2), "full"), r"it is .batch, time, neuron., \(3, 40, 12\)"),
        (lambda: SpikingErrorModule(LIF(surrogate=torch.sigmoid), 2, 3, 1, 4, decay=DECAY), "leave surrogate out"),
        (
            lambda: (p := problem("linear"))._replace(error_module=p.error_module.bfloat16()).one_shot(),
            "in bfloat16: it",
        ),
        (lambda: (p := problem("spiking"))._replace(error_module=p.error_module.half()).one_shot(), "in float16: it"),
        (lambda: (p := problem("linear"))._replace(layer=p.layer.bfloat16()).one_shot(), "in bfloat16: it computes"),
    ],
)
def test_wrong_use_of_one_shot_learning_is_one_sentence(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        call()
