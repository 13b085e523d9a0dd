"""Products with spikes as events, of which each trial may have weights of its own, against dense arrays."""

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels import dispatch, events, reference
from repro.eprop.kernels.events import SpikeTrains, spike_trains
from tests.oracle.conftest import relative

EXACT, WRONG = 1e-12, 1e-3
BATCH, STEPS, PRE, POST = 4, 30, 11, 7


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SPIKES = (draw(BATCH, STEPS, PRE, seed=9) > 1).double()
FORMS = {"events": spike_trains(SPIKES), "array": SPIKES}


@pytest.fixture(params=["compiled", "plain torch"], autouse=True)
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain torch":
        monkeypatch.setattr(dispatch, "operators", lambda device: reference)


@pytest.mark.parametrize("form", FORMS)
def test_each_trial_by_its_own_weights(form: str) -> None:
    weights, spikes = draw(BATCH, POST, PRE), FORMS[form]
    wanted = torch.einsum("bji,bti->btj", weights, SPIKES)
    assert relative(events.linear_each(spikes, weights), wanted) < EXACT
    assert relative(events.linear_each(spikes, weights.roll(1, dims=0)), wanted) > WRONG  # control: another trial's
    turned = weights.mT.contiguous().mT  # any layout of the weights
    assert relative(events.linear_each(spikes, turned), wanted) < EXACT


@pytest.mark.parametrize("form", FORMS)
def test_each_trial_sums_its_own_products(form: str) -> None:
    delta = draw(BATCH, STEPS, POST)
    found = events.outer_each(delta, FORMS[form])
    assert relative(found, torch.einsum("btj,bti->bji", delta, SPIKES)) < EXACT
    assert relative(found.sum(dim=0), events.outer(delta, FORMS[form])) < EXACT
    assert relative(found, torch.einsum("btj,bti->bji", delta.roll(1, dims=1), SPIKES)) > WRONG  # control


@pytest.mark.parametrize("form", FORMS)
def test_spikes_of_one_trial_are_those_of_all(form: str) -> None:
    one = {"events": spike_trains(SPIKES[:1]), "array": SPIKES[:1]}[form]
    weights, delta = draw(BATCH, POST, PRE), draw(BATCH, STEPS, POST)
    current = torch.einsum("bji,ti->btj", weights, SPIKES[0])
    summed = torch.einsum("btj,ti->bji", delta, SPIKES[0])
    assert relative(events.linear_each(one, weights), current) < EXACT
    assert relative(events.outer_each(delta, one), summed) < EXACT
    assert relative(events.linear_each(FORMS[form], weights), current) > WRONG  # control: those of each
    assert relative(events.outer_each(delta, FORMS[form]), summed) > WRONG


@pytest.mark.parametrize("before", [torch.zeros(BATCH, PRE), SPIKES[:, 3]], ids=["from rest", "from a spike"])
@pytest.mark.parametrize("form", FORMS)
def test_spikes_arrive_one_step_later(form: str, before: Tensor) -> None:
    later = events.arriving(FORMS[form], before)
    dense = later.dense(torch.float64) if isinstance(later, SpikeTrains) else later
    assert torch.equal(dense[:, 1:], SPIKES[:, :-1])
    assert torch.equal(dense[:, 0], before.double())
    delta = draw(BATCH, STEPS, POST)
    assert relative(events.outer_each(delta, later), torch.einsum("btj,bti->bji", delta, dense)) < EXACT


@pytest.mark.parametrize("share", [0.05, 0.5], ids=["little is wanted", "much is wanted"])
@pytest.mark.parametrize("each", [False, True], ids=["weights of all trials", "weights of each"])
def test_a_product_is_right_where_it_is_wanted(each: bool, share: float) -> None:
    x, weights = draw(BATCH, STEPS, PRE), draw(*([BATCH] if each else []), PRE, POST, seed=1)
    where = draw(BATCH, STEPS, POST, seed=2) * (draw(BATCH, STEPS, POST, seed=3).sigmoid() < share)
    where[0, 0, 0] = 1
    wanted = x @ weights
    found = events.times(x, weights, where)
    assert relative(found * (where != 0), wanted * (where != 0)) < EXACT
    assert relative(events.times(x, weights), wanted) < EXACT
    assert relative(found * (where != 0), wanted) > WRONG  # control: elsewhere something is lacking
    total, one = wanted.sum(dim=0, keepdim=True), where[:1]  # wanted of one trial: the sum over trials
    assert relative(events.times(x, weights, one) * (one != 0), total * (one != 0)) < EXACT
    assert relative(found[:1] * (one != 0), total * (one != 0)) > WRONG  # control: the first trial's
