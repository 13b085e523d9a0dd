"""SpikingNetwork is its two layers, whatever they are set to."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop import BPTT, EProp, Feedback, Frozen, RateTerm, Rule, SpikingNetwork, UsageError, spike_trains
from tests.oracle.eprop.conftest import EXACT, LOSSES, WRONG, Case, assert_differ, assert_equal, make, relative, wave

LENGTHS = torch.tensor([60, 25, 40])
FEEDBACK = {
    "symmetric": Feedback(),
    "random": Feedback("random", variance="one"),
    "by_error": Feedback("random", window_ms=7),
    "by_slice": Feedback("random", window_ms=7, time="slice"),
}
RULES: list[Rule] = [BPTT(), EProp(), EProp(trace="truncated")]


def gradients(case: Case, way: str, lengths: Tensor | None, **options: Any) -> dict[str, Tensor]:
    y, z = case.forward(way, lengths=lengths)
    loss = (y * wave(y)).sum() + (z * wave(z)).mean() + RateTerm("mean_hz", 1e-5)(z, lengths)
    return case.gradients(loss, **options) | {"y": y.detach(), "z": z.detach(), "loss": loss.detach()}


@pytest.mark.parametrize(("rule", "feedback"), list(itertools.product(RULES, FEEDBACK)))
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_one_operation_is_two_layers(rule: Rule, feedback: str, lengths: Tensor | None) -> None:
    case = make("alif", rule, FEEDBACK[feedback])
    found, wanted = (gradients(case, way, lengths) for way in ("pair", "two"))
    assert_equal(found, wanted)
    other = make("alif", rule, FEEDBACK["random" if feedback != "random" else "symmetric"])
    other.readout.seed_feedback(int(case.readout.feedback_seed))
    assert_differ(found, gradients(other, "pair", lengths), "w_in", "w_rec", "x")


@pytest.mark.parametrize("feedback", ["symmetric", "random"])
def test_one_operation_is_two_layers_with_frames(neuron: str, feedback: str) -> None:
    case = make(neuron, EProp(), FEEDBACK[feedback], frame_steps=5)
    found, wanted = (gradients(case, way, LENGTHS) for way in ("pair", "two"))
    assert_equal(found, wanted)
    case.readout.kappa *= 0.9
    assert_differ(found, gradients(case, "two", LENGTHS), "w_in", "w_rec", "w_out", "x")


@pytest.mark.parametrize("rule", [*RULES, Frozen()])
def test_a_loss_of_y_alone_and_of_z_alone(neuron: str, rule: Rule) -> None:
    case = make(neuron, rule)
    names, weights = zip(*case.weights.items(), strict=True)
    for pick in (0, 1):
        found, wanted = (
            torch.autograd.grad((case.forward(way)[pick]).sin().sum(), weights, allow_unused=True)
            for way in ("pair", "two")
        )
        for name, one, two in zip(names, found, wanted, strict=True):
            frozen = not rule.plastic and name in ("w_in", "w_rec")
            assert (two is None) == (frozen or (pick == 1 and name in ("w_out", "b_out"))), name
            if two is None:
                assert one is None or not one.any(), name
            else:
                assert relative(one, two) < EXACT


def test_a_readout_that_does_not_learn_still_sends_its_error() -> None:
    case = make("lif", EProp())
    wanted = case.gradients(LOSSES["squared_error"](case, *case.forward("two")))
    case.readout.requires_grad_(False)
    for way in ("two", "pair"):
        found = case.gradients(LOSSES["squared_error"](case, *case.forward(way)))
        assert_equal(found, {name: wanted[name] for name in ("w_in", "w_rec", "x")})
    assert_differ(found, {name: 2 * g for name, g in found.items()}, "w_in", "w_rec", "x")


def test_a_layer_whose_weights_do_not_learn_still_lets_the_readout_learn(way: str) -> None:
    case = make("lif", EProp(), x_learns=False)
    wanted = case.gradients(LOSSES["squared_error"](case, *case.forward(way)))
    case.layer.requires_grad_(False)
    y, z = case.forward(way)
    found = case.gradients(LOSSES["squared_error"](case, y, z))
    assert_equal(found, {name: wanted[name] for name in ("w_out", "b_out")})
    assert relative(found["w_out"], 2 * wanted["w_out"]) > WRONG


def test_gradients_add_up_in_grad_as_in_any_layer(way: str) -> None:
    case = make("alif", EProp(), "random")
    once = case.gradients(LOSSES["squared_error"](case, *case.forward(way)))
    for _ in range(2):
        (LOSSES["squared_error"](case, *case.forward(way)) / 2).backward()
    for name, tensor in case.weights.items():
        assert relative(tensor.grad, once[name]) < EXACT
        assert tensor.grad.stride() == tensor.stride() or name == "x"
    case.network.zero_grad()
    assert case.layer.w_in.grad is None


def test_nothing_upstream_is_nothing_downstream() -> None:
    """A function behind the readout that sends no gradient back."""

    class Silent(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, y: Tensor, w: Tensor) -> Tensor:
            return w.clone()

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
            return None, grads[0]

    for way in ("two", "pair"):
        case, w = make("lif"), torch.ones(1).double().requires_grad_()
        Silent.apply(case.forward(way)[0], w).sum().backward()
        assert w.grad is not None
        for tensor in case.weights.values():
            assert tensor.grad is None or not tensor.grad.any()


def test_inputs_as_events(way: str) -> None:
    case = make("alif", EProp(), x_learns=False)
    events = case._replace(x=spike_trains(case.x))
    found, wanted, late = (
        (c, c.forward(way)) for c in (events, case, events._replace(x=spike_trains(case.x.roll(1, dims=1))))
    )
    g = [of(*run) for run in (found, wanted, late)]
    assert_equal(g[0], g[1])
    assert_differ(g[0], g[2], "w_in", "w_rec", "w_out")


def of(case: Case, run: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    names = [name for name in case.weights if name != "x"]
    loss = LOSSES["squared_error"](case, *run)
    return dict(zip(names, torch.autograd.grad(loss, [case.weights[n] for n in names]), strict=True))


def test_the_layers_of_a_network_have_to_fit() -> None:
    with pytest.raises(UsageError, match="these have to be equal"):
        SpikingNetwork(make("lif").layer, type(make("lif").readout)(3, 2))
