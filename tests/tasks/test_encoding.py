"""Encoding of the target position as an input of the error module (task 2.1)."""

import math

import pytest
import torch

from repro.errors import UserError
from tasks.arm_reaching.encoding import encoded, n_features, population, rates_hz

CENTRES = torch.linspace(-1.4, 1.4, 100)


def random() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_rates_say_where_the_tip_is() -> None:
    """Their centre of mass is the coordinate; near the edge of the plane the outermost curves are cut off."""
    position = 2 * torch.rand(4, 50, 2, generator=random()) - 1
    rates = rates_hz(position, 100)
    assert rates.shape == (4, 50, 200)
    halves = rates.unflatten(-1, (2, 100))
    decoded = (halves * CENTRES).sum(dim=-1) / halves.sum(dim=-1)
    assert (decoded - position).abs().max() < 0.012
    assert (decoded - position)[position.abs() < 0.6].abs().max() < 1e-3
    assert (decoded.flip(-1) - position).abs().max() > 0.1  # control: x comes first


def test_a_neuron_fires_at_200_hz_at_its_preferred_position_and_less_elsewhere() -> None:
    place = CENTRES[[60, 20]]
    rates = rates_hz(place[None, None], 100)[0, 0]
    assert float(rates[60]) == pytest.approx(200, abs=1e-3)
    assert float(rates[100 + 20]) == pytest.approx(200, abs=1e-3)
    away = float(CENTRES[67] - CENTRES[60])  # about one standard deviation
    assert float(rates[67]) == pytest.approx(200 * math.exp(-(away**2) / 0.08), rel=1e-3)
    assert rates.max() <= 200.001


def test_spikes_come_by_chance_at_these_rates() -> None:
    position = torch.tensor([0.3, -0.6]).expand(40, 500, 2)
    spikes = population(position, 100, 1.0, random())
    assert spikes.shape == (40, 500, 200)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    chance = rates_hz(position, 100)[0, 0] / 1000
    spread = (chance * (1 - chance) / (40 * 500)).sqrt()
    assert (((spikes.mean(dim=(0, 1)) - chance) / (spread + 1e-9)).abs() < 5).all()
    twice = float((spikes[:, 1:] * spikes[:, :-1]).mean(dim=(0, 1))[60])
    assert twice == pytest.approx(float(chance[60]) ** 2, abs=0.01)  # each step by itself
    halved = population(position, 100, 0.5, random())
    assert float(halved.mean() / spikes.mean()) == pytest.approx(0.5, abs=0.02)
    swapped = rates_hz(position.flip(-1), 100)[0, 0] / 1000
    assert not ((spikes.mean(dim=(0, 1)) - swapped).abs() < 0.05).all()  # control


def test_spikes_depend_on_the_generator_alone() -> None:
    position = torch.zeros(2, 20, 2)
    generator = random()
    one = population(position, 100, 1.0, generator)
    assert torch.equal(one, population(position, 100, 1.0, random()))
    assert not torch.equal(one, population(position, 100, 1.0, generator))  # control


@pytest.mark.parametrize(
    ("encoding", "neurons", "width"), [("analogue", 100, 2), ("population", 100, 200), ("population", 1, 2)]
)
def test_encodings_by_name(encoding: str, neurons: int, width: int) -> None:
    position = torch.rand(3, 20, 2, generator=random())
    features = encoded(encoding, position, neurons, 1.0, random())
    assert features.shape == (3, 20, width)
    assert n_features(encoding, neurons) == width
    assert torch.equal(features, position) == (encoding == "analogue")


def test_another_encoding_is_refused() -> None:
    for call in (lambda: n_features("rate", 100), lambda: encoded("rate", torch.zeros(1, 1, 2), 100, 1.0, random())):
        with pytest.raises(UserError, match="known: analogue, population"):
            call()
