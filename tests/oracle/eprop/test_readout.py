"""The readout's values and gradients against a filter that is written out, and Eq. 48."""

import math

import pytest
import torch

from repro.eprop import BPTT, EProp, Readout, SpikeTrains, UsageError, spike_trains
from tests.oracle.eprop.conftest import (
    EXACT,
    KAPPA,
    LOSSES,
    WRONG,
    N,
    assert_differ,
    assert_equal,
    make,
    read,
    relative,
    unrolled,
    wave,
)


def spikes(steps: int = 60) -> torch.Tensor:
    return (torch.rand(3, steps, N, generator=torch.Generator().manual_seed(2)) < 0.2).double()


@pytest.mark.parametrize("one_minus_kappa", [False, True])
@pytest.mark.parametrize("tau_out_ms", [3.0, 40.0])
def test_values_are_eq_41_and_the_weights_gradient_is_eq_48(one_minus_kappa: bool, tau_out_ms: float) -> None:
    readout = Readout(N, 2, tau_out_ms, one_minus_kappa=one_minus_kappa, bias=True).double()
    readout.b_out.data += 0.4
    z, kappa = spikes(), math.exp(-1 / tau_out_ms)
    scale, y = 1 - kappa if one_minus_kappa else 1.0, torch.zeros(3, 2).double()
    found, error, wanted = readout(z), wave(torch.zeros(3, 60, 2).double()), torch.zeros(2, N).double()
    z_hat = torch.zeros(3, N).double()
    for t in range(60):
        y = kappa * y + scale * z[:, t] @ readout.w_out.detach().T
        z_hat = kappa * z_hat + z[:, t]
        wanted += scale * error[:, t].T @ z_hat
        assert relative(found[:, t], y + 0.4) < EXACT
    by_w_out, by_b_out = torch.autograd.grad((found * error).sum(), readout.parameters())
    assert relative(by_w_out, wanted) < EXACT
    assert relative(by_b_out, error.sum(dim=(0, 1))) < EXACT
    assert relative(by_w_out, torch.einsum("btk,btj->kj", error, z)) > WRONG  # control: no filter
    assert relative(found, found + 0.4 / (1 - kappa) - 0.4) > WRONG  # control: the bias inside the filter


def test_spikes_may_come_as_events(way: str) -> None:
    readout = Readout(N, 2, 40.0).double()
    dense = spikes()
    events = spike_trains(dense)
    assert isinstance(events, SpikeTrains)
    assert relative(readout(events), readout(dense)) < EXACT
    found, wanted = (torch.autograd.grad(readout(z).sin().sum(), readout.w_out)[0] for z in (events, dense))
    assert relative(found, wanted) < EXACT
    late = spike_trains(dense.roll(1, dims=1))
    assert relative(readout(late), readout(dense)) > WRONG  # control


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
@pytest.mark.parametrize("frame_steps", [4, 5])
def test_a_readout_of_frames_is_their_mean_and_then_the_filter(way: str, rule: BPTT, frame_steps: int) -> None:
    case = make("alif", rule, frame_steps=frame_steps)
    y, z = case.forward(way)
    assert y.shape == (3, 60 // frame_steps, 2)
    wanted = unrolled(case, isinstance(rule, EProp))
    assert relative(y, wanted[0]) < EXACT
    found = case.gradients(LOSSES["squared_error"](case, y, z))
    assert_equal(found, case.gradients(LOSSES["squared_error"](case, *wanted)))
    case.readout.frame_steps = 1  # control: the mean of filtered steps
    every = read(case.readout, unrolled(case, isinstance(rule, EProp))[1])
    wrong = case.gradients(LOSSES["squared_error"](case, every.unflatten(1, (-1, frame_steps)).mean(dim=2), z))
    assert_differ(found, wrong, "w_in", "w_rec", "w_out", "x")


def test_trials_of_half_a_frame_are_refused(way: str) -> None:
    case = make("lif", frame_steps=5)
    with pytest.raises(UsageError, match="multiples of frame_steps=5"):
        case._replace(x=case.x[:, :58]).forward(way)
    with pytest.raises(UsageError, match="multiples of frame_steps=5"):
        case.forward(way, lengths=torch.tensor([60, 55, 33]))


def test_y_before_is_where_y_goes_on_from_and_a_constant() -> None:
    readout = Readout(N, 2, 40.0, bias=True).double()
    readout.b_out.data += 0.4
    z = spikes()
    y = readout(z)
    before = (y[:, 22] - 0.4).requires_grad_()
    second = readout(z[:, 23:], y_before=before)
    assert relative(second, y[:, 23:]) < EXACT
    assert relative(readout(z[:, 23:], y_before=y[:, 22]), y[:, 23:]) > WRONG  # control: with the bias
    found = torch.autograd.grad(second.sin().sum(), readout.w_out, retain_graph=True)[0]
    wanted = torch.autograd.grad(read(readout, z[:, 23:], before.detach()).sin().sum(), readout.w_out)[0]
    assert relative(found, wanted) < EXACT
    through = torch.autograd.grad(read(readout, z[:, 23:], before).sin().sum(), readout.w_out)[0]
    assert relative(found, through) > WRONG  # control: the first half on the tape


def test_y_before_of_a_readout_of_frames() -> None:
    readout = Readout(N, 2, 40.0, frame_steps=5).double()
    z = spikes()
    y = readout(z)
    assert relative(readout(z[:, 25:], y_before=y[:, 4]), y[:, 5:]) < EXACT
    assert relative(readout(z[:, 25:], y_before=y[:, 3]), y[:, 5:]) > WRONG  # control


def test_z_that_learns_elsewhere_receives_the_gradient() -> None:
    """The readout alone, behind something that is no layer of ours."""
    readout = Readout(N, 2, 40.0, bias=True).double()
    z = spikes().requires_grad_()
    found, wanted = (torch.autograd.grad(y.sin().sum(), z)[0] for y in (readout(z), read(readout, z)))
    assert relative(found, wanted) < EXACT
    assert relative(found, wanted.flip(1)) > WRONG  # control
    assert pytest.approx(readout.kappa) == KAPPA


def test_dt_scales_time_constants() -> None:
    assert Readout(N, 2, 40.0, dt_ms=2.0).kappa == pytest.approx(math.exp(-2 / 40))


@pytest.mark.parametrize("values", [{"tau_out_ms": 0.0}, {"dt_ms": -1.0}, {"frame_steps": 0}])
def test_values_without_meaning_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(values))}.*(above 0|1 or more)"):
        Readout(N, 2, **values)
