"""A layer whose z and h are on the tape, against autograd through every step, in float64."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels import events
from repro.eprop.kernels.events import Held, spike_trains
from repro.eprop.layers.differentiable import DifferentiableLayer
from repro.eprop.neurons.differentiable import LayerWeights
from tests.oracle.eprop.unrolled import NEURONS, State, draw, filtered, relative, unrolled, without_diagonal

EXACT, WRONG = 1e-11, 1e-2
BATCH, STEPS, N_IN, N = 3, 50, 5, 12


def make(neuron: str = "lif", n_in: int = N_IN, seed: int = 1) -> Any:
    random = torch.Generator().manual_seed(seed)
    return DifferentiableLayer(NEURONS[neuron], n_in, N, generator=random).double()


def inputs() -> Tensor:
    return (0.25 * draw(BATCH, STEPS, N_IN) + 0.05).requires_grad_()


def make_weights(layer: Any, each: bool) -> Any:
    """The layer's own, or others of each trial."""
    if not each:
        return layer.weights
    w_in, w_rec = ((w + 0.1 * draw(BATCH, *w.shape, seed=8)).detach().requires_grad_() for w in layer.weights)
    return LayerWeights(w_in, w_rec)


def by_hand(layer: Any, x: Tensor, weights: Any, state: State | None = None) -> tuple[Tensor, Tensor, State]:
    """z, h and the last state of Eq. 20-26, with autapses left out."""
    current = torch.einsum("bji,bti->btj", weights.w_in.expand(len(x), *weights.w_in.shape[-2:]), x)
    return unrolled(layer.neuron, current, without_diagonal(weights.w_rec), state)


def function(z: Tensor, h: Tensor, d_h: float = 1.0) -> Tensor:
    """Of z, h and their filtered product over time, as an inner update by e-prop is one."""
    update = torch.einsum("btj,bti->bji", h * draw(*h.shape, seed=2), filtered(z, 0.9))
    return (z * draw(*z.shape, seed=3)).sum() + d_h * (h * draw(*h.shape, seed=4)).sum() + update.square().sum()


def gradients(z: Tensor, h: Tensor, leaves: list[Tensor], d_h: float = 1.0) -> tuple[Tensor, ...]:
    return torch.autograd.grad(function(z, h, d_h), leaves, retain_graph=True)


@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each trial"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_one_node_is_every_step(neuron: str, each: bool) -> None:
    layer, x = make(neuron), inputs()
    weights = make_weights(layer, each)
    trajectory = layer(x, weights if each else None)
    z, h = trajectory.z, trajectory.h
    z_wanted, h_wanted, _ = by_hand(layer, x, weights)
    assert 0.01 < z.mean() < 0.5, "the oracle's network is not alive"
    assert torch.equal(z, z_wanted)
    assert relative(h, h_wanted) < EXACT
    leaves = [x, *weights]
    wanted = gradients(z_wanted, h_wanted, leaves)
    for result, of in zip(gradients(z, h, leaves), wanted, strict=True):
        assert relative(result, of) < EXACT
    for result, of in zip(gradients(z, h.detach(), leaves), wanted, strict=True):  # control: h held constant
        assert relative(result, of) > WRONG
    for result, of in zip(gradients(z, h, leaves, d_h=-1.0), wanted, strict=True):  # control
        assert relative(result, of) > WRONG


def test_weights_of_each_trial_are_those_of_all_where_they_are_equal() -> None:
    layer, x = make(), inputs()
    each = LayerWeights(*(w.detach().expand(BATCH, *w.shape).clone().requires_grad_() for w in layer.weights))
    first, second = layer(x), layer(x, each)
    shared = gradients(first.z, first.h, list(layer.weights))
    of_each = gradients(second.z, second.h, list(each))
    for all_trials, trial in zip(shared, of_each, strict=True):
        assert relative(trial.sum(dim=0), all_trials) < EXACT
        assert relative(trial[0], trial[1]) > WRONG


def test_inputs_alone_need_no_gradient_of_weights() -> None:
    layer, x = make(), inputs()
    weights = LayerWeights(*(w.detach() for w in make_weights(layer, each=True)))
    trajectory = layer(x, weights)
    z, h, _ = by_hand(layer, x, weights)
    (result,), (wanted,) = gradients(trajectory.z, trajectory.h, [x]), gradients(z, h, [x])
    assert relative(result, wanted) < EXACT


@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each trial"])
def test_autapses_never_count(each: bool) -> None:
    layer, x = make(), inputs()
    w_in, w_rec = make_weights(layer, each)
    with_autapses = (w_rec.detach() + 3 * torch.eye(N)).requires_grad_()
    first, second = layer(x, LayerWeights(w_in, w_rec)), layer(x, LayerWeights(w_in, with_autapses))
    assert torch.equal(first.z, second.z) and torch.equal(first.h, second.h)
    (wanted,), (result,) = gradients(first.z, first.h, [w_rec]), gradients(second.z, second.h, [with_autapses])
    assert torch.equal(result, wanted)
    assert not torch.diagonal(result, dim1=-2, dim2=-1).any()
    assert torch.equal(torch.diagonal(with_autapses, dim1=-2, dim2=-1), 3 + torch.diagonal(w_rec, dim1=-2, dim2=-1))
    other = layer(x, LayerWeights(w_in, with_autapses.roll(1, dims=-1)))  # control: beside the diagonal they count
    assert not torch.equal(other.z, first.z)


@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each trial"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_a_state_that_is_given_is_where_it_begins(neuron: str, each: bool) -> None:
    layer, x = make(neuron), inputs()
    weights, first = make_weights(layer, each), 23
    whole, begun = layer(x, weights), layer(x[:, :first], weights)
    assert begun.after.z.any() and begun.after.refractory.any()
    rest = layer(x[:, first:], weights, begun.after)
    assert torch.equal(rest.z, whole.z[:, first:])
    assert relative(rest.h, whole.h[:, first:]) < EXACT
    assert torch.equal(rest.before.z, begun.after.z)
    z, h, last = by_hand(layer, x[:, :first], weights)
    for result, of in zip(begun.after.variables, (last.v, last.a), strict=False):
        assert relative(result, of) < EXACT
    state = State(*(series.detach() for series in last))
    z, h, _ = by_hand(layer, x[:, first:], weights, state)
    wanted = gradients(z, h, list(weights))
    for result, of in zip(gradients(rest.z, rest.h, list(weights)), wanted, strict=True):
        assert relative(result, of) < EXACT
    at_rest = layer(x[:, first:], weights)  # control
    assert not torch.equal(at_rest.z, rest.z)
    assert relative(gradients(at_rest.z, at_rest.h, [weights.w_rec])[0], wanted[1]) > WRONG


@pytest.mark.parametrize("few", [0.0, 1.0], ids=["whole products", "where h is not zero"])
@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each trial"])
def test_a_layer_reads_the_trajectory_of_another(each: bool, few: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FEW_WANTED", few)
    first, second, x = make("alif"), make("lif", n_in=N, seed=5), inputs()
    weights = make_weights(second, each)
    below = first(x)
    above = second(below, weights)
    z_below, _, _ = by_hand(first, x, first.weights)
    z, h, _ = by_hand(second, z_below, weights)
    assert torch.equal(above.z, z) and above.z.any()
    leaves = [x, *first.weights, *weights]
    wanted = gradients(z, h, leaves)
    for result, of in zip(gradients(above.z, above.h, leaves), wanted, strict=True):
        assert relative(result, of) < EXACT
    h_cut, _ = by_hand(first, x.detach(), first.weights)[1:]
    z, h, _ = by_hand(second, z_below.detach() + h_cut - h_cut.detach(), weights)  # control: another derivative of z
    assert relative(gradients(z, h, [first.w_in])[0], wanted[1]) > WRONG


@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each trial"])
def test_inputs_of_any_form(each: bool) -> None:
    layer = make()
    weights = make_weights(layer, each)
    spikes = (draw(BATCH, STEPS, N_IN, seed=6) > 0.8).double()
    frames = 0.5 * draw(BATCH, STEPS // 5, N_IN, seed=7)
    forms = [
        (spike_trains(spikes), spikes),
        (Held(frames, 5), frames.repeat_interleave(5, dim=1)),
        (spikes.bool(), spikes),
    ]
    for form, dense in forms:
        trajectory, (z, h, _) = layer(form, weights), by_hand(layer, dense, weights)
        assert torch.equal(trajectory.z, z) and z.any()
        wanted = gradients(z, h, list(weights))
        for result, of in zip(gradients(trajectory.z, trajectory.h, list(weights)), wanted, strict=True):
            assert relative(result, of) < EXACT


def test_without_recurrence() -> None:
    random = torch.Generator().manual_seed(1)
    layer, x = DifferentiableLayer(NEURONS["lif"], N_IN, N, recurrent=False, generator=random).double(), inputs()
    assert [name for name, _ in layer.named_parameters()] == ["w_in"]
    trajectory = layer(x)
    z, h, _ = by_hand(layer, x, LayerWeights(layer.w_in, torch.zeros(N, N, dtype=torch.float64)))
    assert torch.equal(trajectory.z, z)
    for result, of in zip(
        gradients(trajectory.z, trajectory.h, [x, layer.w_in]), gradients(z, h, [x, layer.w_in]), strict=True
    ):
        assert relative(result, of) < EXACT
    with pytest.raises(UsageError, match="None for a layer without recurrence, and only there"):
        layer(x, make().weights)


@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each trial"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_between_spikes_that_come_or_go_finite_differences_agree(neuron: str, each: bool) -> None:
    """h is a smooth function of inputs and weights. What a gradient has beside its derivative, through the spikes,
    vanishes with gamma."""
    layer = make(neuron)
    x, weights = inputs().detach()[:2, :20].requires_grad_(), make_weights(layer, each)
    leaves = (x, *(w[:2].detach().requires_grad_() if each else w for w in weights))

    def smooth(x: Tensor, w_in: Tensor, w_rec: Tensor) -> Tensor:
        return (layer(x, LayerWeights(w_in, w_rec)).h / layer.neuron.dampening).square().mean(dim=(0, 1))

    layer.neuron = dataclasses.replace(layer.neuron, dampening=1e-9)
    assert layer(leaves[0], LayerWeights(*leaves[1:])).z.mean() > 0.01
    assert torch.autograd.gradcheck(smooth, leaves)
    layer.neuron = dataclasses.replace(layer.neuron, dampening=0.3)  # control: the spikes' share
    assert not torch.autograd.gradcheck(smooth, leaves, raise_exception=False)
