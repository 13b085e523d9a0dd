"""online_eprop gives gradients to its layer and readout alone, and says so where more would be expected."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop import LIF, EProp, Held, Readout, RecurrentLayer, SpikingNetwork, UsageError, online_eprop

X = (torch.rand(2, 120, 5, generator=torch.Generator().manual_seed(0)) < 0.3).float()


def pair() -> tuple[RecurrentLayer, Readout]:
    random = torch.Generator().manual_seed(1)
    layer = RecurrentLayer(LIF(), 5, 8, rule=EProp(), generator=random)
    return layer, Readout(8, 2, feedback="random", generator=random)


def energy(y: Tensor, first: int) -> Tensor:
    return y.square().sum()


def test_inputs_that_want_a_gradient_are_refused() -> None:
    encoder = nn.Linear(5, 5)
    for x in (encoder(X), Held(encoder(X), 2)):
        with pytest.raises(UsageError, match=r"an encoder in front would get none: detach x, or use EProp\(\)"):
            online_eprop(*pair(), x, energy)
    result = online_eprop(*pair(), encoder(X).detach(), energy)
    result.loss.backward()


def test_a_loss_of_other_parameters_is_refused() -> None:
    head = nn.Linear(2, 3)
    with pytest.raises(UsageError, match=r"loss_at depends on a parameter of shape \[3(, 2)?\]"):
        online_eprop(*pair(), X, lambda y, first: head(y).square().sum())
    head.requires_grad_(False)
    online_eprop(*pair(), X, lambda y, first: head(y).square().sum()).loss.backward()


WRONG: dict[str, tuple[Callable[[Tensor, int], Any], str]] = {
    "no_scalar": (lambda y, first: y.square(), r"a tensor of the shape \[2, 50, 2\]: it returns the loss"),
    "a_float": (lambda y, first: float(y.detach().sum()), "loss_at returned float: it returns the loss"),
    "constant": (lambda y, first: torch.tensor(1.0), "does not depend on y"),
    "detached": (lambda y, first: y.detach().sum(), "does not depend on y"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_loss_is_refused_in_a_sentence(name: str) -> None:
    loss_at, sentence = WRONG[name]
    with pytest.raises(UsageError, match=sentence):
        online_eprop(*pair(), X, loss_at)


def test_a_network_in_place_of_its_layer_is_refused() -> None:
    layer, readout = pair()
    with pytest.raises(UsageError, match="takes a RecurrentLayer and a Readout, not SpikingNetwork, Readout"):
        online_eprop(SpikingNetwork(layer, readout), readout, X, energy)
