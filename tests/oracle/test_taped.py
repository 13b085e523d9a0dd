"""A whole sequence as one node of the tape, against autograd through every step, in float64."""

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels.dispatch import exponential_filter
from repro.eprop.neurons import differentiable
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from tests.oracle.conftest import NEURONS, relative, unrolled
from tests.oracle.tools import assert_model_is_live

EXACT, WRONG = 1e-11, 1e-2
BATCH, STEPS, N = 3, 50, 12


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def currents() -> Tensor:
    return (0.3 * draw(BATCH, STEPS, N) + 0.03).requires_grad_()


def weights(each: bool) -> Tensor:
    return (0.5 * draw(*([BATCH] if each else []), N, N, seed=1) / N**0.5).requires_grad_()


def gradients(z: Tensor, h: Tensor, current: Tensor, w_rec: Tensor, by_h: float = 1.0) -> list[Tensor]:
    """Of a function of z, h and their filtered product over time, as an inner update by e-prop is one."""
    update = torch.einsum("btj,bti->bji", h * draw(*h.shape, seed=2), exponential_filter(z, 0.9, False))
    loss = (z * draw(*z.shape, seed=3)).sum() + by_h * (h * draw(*h.shape, seed=4)).sum() + update.square().sum()
    return list(torch.autograd.grad(loss, [current, w_rec], retain_graph=True))


@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each trial"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_one_node_is_every_step(neuron: str, each: bool) -> None:
    unit = NEURONS[neuron]
    assert isinstance(unit, IntegrateAndFire)
    current, w_rec = currents(), weights(each)
    z, h = differentiable.simulate(unit, current, w_rec)[:2]
    z_wanted, h_wanted = unrolled(unit, current, w_rec)
    assert_model_is_live(z, slopes=h)
    assert torch.equal(z, z_wanted)
    assert relative(h, h_wanted) < EXACT
    wanted = gradients(z_wanted, h_wanted, current, w_rec)
    for found, of in zip(gradients(z, h, current, w_rec), wanted, strict=True):
        assert relative(found, of) < EXACT
    for found, of in zip(gradients(z, h.detach(), current, w_rec), wanted, strict=True):  # control: h held constant
        assert relative(found, of) > WRONG
    for found, of in zip(gradients(z, h, current, w_rec, by_h=-1.0), wanted, strict=True):  # control
        assert relative(found, of) > WRONG


def test_weights_of_each_trial_are_those_of_all_where_they_are_equal() -> None:
    unit, current, w_rec = NEURONS["lif"], currents(), weights(each=False)
    assert isinstance(unit, IntegrateAndFire)
    own = w_rec.detach().expand(BATCH, N, N).clone().requires_grad_()
    shared = gradients(*differentiable.simulate(unit, current, w_rec)[:2], current, w_rec)[1]
    of_each = gradients(*differentiable.simulate(unit, current, own)[:2], current, own)[1]
    assert relative(of_each.sum(dim=0), shared) < EXACT
    assert relative(of_each[0], of_each[1]) > WRONG


def test_inputs_alone_need_no_product_of_weights() -> None:
    unit, current = NEURONS["lif"], currents()
    assert isinstance(unit, IntegrateAndFire)
    z, h = differentiable.simulate(unit, current, weights(each=True).detach())[:2]
    (found,) = torch.autograd.grad(z.sum() + h.sum(), current)
    assert torch.isfinite(found).all() and found.abs().max() > 0
