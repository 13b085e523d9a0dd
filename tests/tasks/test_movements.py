"""The movements of task 2.1: sines as in Eq. 60, within the arm's limits, as large as those of the authors' code."""

import dataclasses
import math
from functools import cache

import pytest
import torch
from torch import Tensor

from repro.errors import UserError
from repro.runs.seeds import generator
from tasks.arm_reaching.arm import START, integrate, tip
from tasks.arm_reaching.movements import REACH, Family, Movements, components, movements, within_reach

READINGS = ("frequency", "period")
MANY = 400


def family(reading: str) -> Family:
    return Family(500, 1.0, 5, 30.0, 0.3, 1.0, reading, 20.0)


@cache
def many(reading: str) -> Movements:
    return movements(family(reading), MANY, 0, "training", 0)


@cache
def drawn(reading: str) -> Tensor:
    return components(family(reading), MANY, generator(1, "test"))


def cycles_and_amplitudes(q: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """Of sines [batch, time, ...] in double, by sin(a + b) + sin(a - b) = 2 sin(a) cos(b): cycles a trial, amplitude.

    `lag` steps are less than half a cycle.
    """
    q = q.double()
    before, now, after = q[:, : -2 * lag], q[:, lag:-lag], q[:, 2 * lag :]
    cosine = ((after + before) * now).sum(dim=1) / (2 * now.square().sum(dim=1))
    quadrature = (after - before) / (2 * (1 - cosine**2).sqrt()[:, None])
    return cosine.acos() / lag * q.shape[1] / (2 * math.pi), (now**2 + quadrature**2).mean(dim=1).sqrt()


@pytest.mark.parametrize("reading", READINGS)
def test_no_movement_leaves_the_limits(reading: str) -> None:
    made = many(reading)
    assert made.velocities.shape == made.angles.shape == made.positions.shape == (MANY, 500, 2)
    assert made.angles[..., 0].abs().max() <= math.pi / 2 + 1e-5
    assert made.angles[..., 1].min() >= -1e-5
    assert made.angles[..., 1].max() <= math.pi + 1e-5
    assert made.positions.norm(dim=-1).max() <= 1 + 1e-6
    assert torch.equal(made.angles, integrate(made.velocities, 1.0))
    assert torch.equal(made.positions, tip(made.angles))
    untamed = integrate(drawn(reading).sum(dim=-1), 1.0)
    assert (untamed[..., 0].abs().amax(dim=1) > math.pi / 2).float().mean() > 0.8  # control


@pytest.mark.parametrize(("reading", "rescaled"), [("frequency", (0.97, 0.94)), ("period", (0.92, 0.66))])
def test_only_what_would_leave_is_slowed_down_and_as_a_whole(reading: str, rescaled: tuple[float, float]) -> None:
    before = drawn(reading).sum(dim=-1)
    after = within_reach(before, 1.0)
    outside = (integrate(before, 1.0) - torch.tensor(START)).abs().amax(dim=1) > REACH
    assert outside.float().mean(dim=0).tolist() == pytest.approx(rescaled, abs=0.06)
    factor = (after * before).sum(dim=1) / before.square().sum(dim=1)
    assert torch.allclose(after, factor[:, None] * before, atol=1e-4)  # one factor a joint
    assert torch.equal(after.movedim(1, 2)[~outside], before.movedim(1, 2)[~outside])
    furthest = (integrate(after, 1.0) - torch.tensor(START)).abs().amax(dim=1)
    assert torch.allclose(furthest[outside], torch.tensor(REACH), atol=1e-4)  # and by no more than needed
    assert factor[outside].max() < 1


@pytest.mark.parametrize("reading", READINGS)
def test_components_are_the_sines_of_the_text(reading: str) -> None:
    q = drawn(reading)
    assert q.shape == (MANY, 500, 2, 5)
    cycles, amplitude = cycles_and_amplitudes(q, 100 if reading == "frequency" else 50)
    omega = cycles if reading == "frequency" else 1 / cycles
    assert omega.min() > 0.3 - 0.01
    assert omega.max() < 1 + 0.01
    assert float(omega.mean()) == pytest.approx(0.65, abs=0.02)  # uniform on [0.3, 1]
    assert float(omega.std()) == pytest.approx(0.7 / math.sqrt(12), abs=0.01)
    assert amplitude[:, 0].max() <= 30.1
    assert float(amplitude[:, 0].mean()) == pytest.approx(15, abs=1)
    assert float(amplitude[:, 0].std()) == pytest.approx(30 / math.sqrt(12), abs=0.5)
    extent = q.amax(dim=1) - q.amin(dim=1)
    assert torch.allclose(extent[:, 1], torch.tensor(20.0), atol=1e-3)
    assert extent[:, 0].std() > 5  # control: those of the first joint stay as drawn
    if reading == "period":
        assert cycles.min() > 0.99  # control: the readings differ
        assert cycles.max() > 3


def test_phases_are_spread_over_the_whole_circle() -> None:
    q = drawn("period")
    _, amplitude = cycles_and_amplitudes(q, 50)
    first = (q[:, 0] / amplitude)[:, 0]  # sin(delta)
    assert float(first.mean()) == pytest.approx(0, abs=0.05)
    assert float(first.std()) == pytest.approx(math.sqrt(0.5), abs=0.03)
    assert float((q[:, 1] > q[:, 0])[:, 0].float().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("reading", "mean_square", "static"), [("frequency", (40.5, 32), 0.26), ("period", (173, 141), 0.206)]
)
def test_movements_are_as_large_as_they_should_be(
    reading: str, mean_square: tuple[float, float], static: float
) -> None:
    """(rad/s)^2 of each joint, and the mse of an arm that does not move, as an independent program found them."""
    made, other = many(reading), many(next(r for r in READINGS if r != reading))
    assert made.velocities.square().mean(dim=(0, 1)).tolist() == pytest.approx(mean_square, rel=0.1)
    still = tip(torch.tensor(START))
    assert float((made.positions - still).square().mean()) == pytest.approx(static, abs=0.02)
    assert float((other.positions - still).square().mean()) != pytest.approx(static, abs=0.02)  # control


def test_a_batch_depends_on_seed_purpose_and_index_alone() -> None:
    one = movements(family("period"), 8, 3, "training", 7)
    torch.manual_seed(5)
    again = movements(family("period"), 8, 3, "training", 7)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    for seed, purpose, index in ((3, "training", 8), (3, "test", 7), (4, "training", 7)):
        other = movements(family("period"), 8, seed, purpose, index)
        assert not torch.equal(one.velocities, other.velocities)  # control


def test_coarser_steps_are_the_same_movement() -> None:
    """Up to the limits and extents, which are those of the steps taken."""
    fine, coarse = (dataclasses.replace(family("frequency"), dt_ms=dt) for dt in (1.0, 5.0))
    a, b = (movements(f, 20, 0, "training", 0).positions for f in (fine, coarse))
    assert b.shape == (20, 100, 2)
    assert (a[:, 4::5] - b).abs().mean() < 0.03
    assert (a[:, 4::5] - b.flip(0)).abs().mean() > 0.1  # control


def test_an_amplitude_of_zero_is_a_joint_at_rest() -> None:
    made = movements(dataclasses.replace(family("period"), amplitude_high=0.0), 4, 0, "training", 0)
    assert not made.velocities[..., 0].any()
    assert made.velocities.isfinite().all()
    assert made.velocities[..., 1].any()


def test_another_reading_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean period"):
        family("periods")
