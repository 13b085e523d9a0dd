"""The rate term as a function of the spikes (Eq. 54 to 56), and what is known of an array of spikes."""

import pytest
import torch
from torch import Tensor

from repro.eprop import BPTT, EProp, RateTerm, RecurrentLayer, UsageError, firing_rates
from repro.eprop.rules.rate import READINGS
from tests.oracle.eprop.conftest import (
    EXACT,
    N_IN,
    WRONG,
    Case,
    N,
    assert_differ,
    assert_equal,
    make,
    of_layer,
    printed,
    relative,
    written,
)

LENGTHS = torch.tensor([60, 0, 31])
RAGGED = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])


def by_hand(z: Tensor, reading: str, lengths: Tensor | None, cost: float = 0.5, target: float = 10.0) -> Tensor:
    """Eq. 54 in plain words: f_j in Hz or kHz, the sum or mean over neurons, or the mean rate of all."""
    rows = (
        z if lengths is None else torch.cat([trial[:length] for trial, length in zip(z, lengths.tolist(), strict=True)])
    )
    rates = rows.reshape(-1, z.shape[2]).mean(dim=0)  # spikes a millisecond
    over, unit = reading.split("_")
    rates, wanted = (rates * 1000, target) if unit == "hz" else (rates, target / 1000)
    if over == "population":
        return cost * (rates.mean() - wanted) ** 2
    squares = (rates - wanted) ** 2
    return cost * (squares.sum() if over == "sum" else squares.mean())


def of(loss: Tensor, case: Case) -> dict[str, Tensor]:
    return of_layer(loss, case.layer)


@RAGGED
@pytest.mark.parametrize(
    ("reading", "neuron"), [*((reading, "lif") for reading in READINGS), ("mean_hz", "rate"), ("sum_hz", "own")]
)
def test_with_bptt_it_is_autograd(reading: str, neuron: str, lengths: Tensor | None, way: str) -> None:
    case, term = make(neuron, BPTT(), x_learns=False), RateTerm(reading)
    _, z = case.forward(way, lengths=lengths)
    loss, wanted = term(z, lengths), by_hand(case.layer.unroll(case.x)[0], reading, lengths)
    assert relative(loss, wanted) < EXACT
    found = of(loss, case)
    assert_equal(found, of(wanted, case))
    other = by_hand(case.layer.unroll(case.x)[0], reading, LENGTHS if lengths is None else None)
    assert_differ(found, of(other, case), "w_in", "w_rec")


@RAGGED
@pytest.mark.parametrize("reading", READINGS)
def test_with_e_prop_it_is_the_printed_sum(reading: str, lengths: Tensor | None) -> None:
    """Eq. 56 with f and the prefactor of Eq. 55 corrected: 2 cost (f - f*) / steps, in the reading's unit and mean."""
    case, term = make("alif", EProp(), x_learns=False), RateTerm(reading, cost=0.7, target_hz=20.0)
    z = written(case.layer, case.x).z
    real = torch.ones(3, 60, 1).double()
    if lengths is not None:
        for trial, length in zip(real, lengths.tolist(), strict=True):
            trial[length:] = 0
    rates = (z * real).sum(dim=(0, 1)) / real.sum()
    over, unit = reading.split("_")
    scale = 1000.0 if unit == "hz" else 1.0
    slope = 2 * 0.7 * (rates * scale - 20.0 * scale / 1000) * scale / real.sum()
    if over == "population":
        slope = (2 * 0.7 * (rates.mean() * scale - 0.02 * scale) * scale / real.sum() / N).expand(N)
    elif over == "mean":
        slope = slope / N
    found = of(term(case.layer(case.x, lengths=lengths), lengths), case)
    assert_equal(found, printed(case.layer, case.x, slope * real))
    assert_differ(found, printed(case.layer, case.x, slope * real / 2), "w_in", "w_rec")  # as Eq. 55 prints it
    if lengths is not None:  # control: padding counts too
        assert_differ(found, printed(case.layer, case.x, slope + 0 * real), "w_in", "w_rec")


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
def test_it_is_added_to_any_loss(neuron: str, way: str, rule: BPTT) -> None:
    case, term = make(neuron, rule), RateTerm("mean_hz", 0.01)
    y, z = case.forward(way)
    both = case.gradients((y - case.target).square().mean() + term(z))
    y, z = case.forward(way)
    task = case.gradients((y - case.target).square().mean())
    rate = of(term(case.forward(way)[1]), case)
    for name in ("w_in", "w_rec"):
        assert relative(both[name], task[name] + rate[name]) < EXACT
        assert relative(both[name], task[name]) > WRONG
    assert relative(both["w_out"], task["w_out"]) < EXACT


def test_neurons_of_two_layers_count_one_after_the_other() -> None:
    one, two = make("lif", x_learns=False), make("rate", x_learns=False)
    term = RateTerm("population_hz")
    z = one.layer(one.x, lengths=LENGTHS), two.layer(two.x, lengths=LENGTHS)
    loss = term(z, LENGTHS)
    wanted = by_hand(torch.cat([c.layer.unroll(c.x)[0] for c in (one, two)], dim=2), "population_hz", LENGTHS)
    assert relative(loss, wanted) < EXACT
    for case in (one, two):
        found = of_layer_of_many(loss, case.layer)
        assert_equal(found, of_layer_of_many(wanted, case.layer))
        assert_differ(found, of_layer_of_many(term(z[0], LENGTHS) + term(z[1], LENGTHS), case.layer), "w_in", "w_rec")


def of_layer_of_many(loss: Tensor, layer: RecurrentLayer) -> dict[str, Tensor]:
    by_in, by_rec = torch.autograd.grad(loss, [layer.w_in, layer.w_rec], retain_graph=True)
    return {"w_in": by_in, "w_rec": by_rec}


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("lengths", [None, torch.tensor([1500, 700])], ids=["whole", "ragged"])
def test_rates_of_compact_spikes_are_those_of_their_numbers(dtype: torch.dtype, lengths: Tensor | None) -> None:
    """More spikes than uint8 and half precision can count."""
    spikes = torch.ones(2, 1500, 3)
    spikes[:, ::3, 1] = 0
    spikes[:, 5:, 2] = 0
    per_neuron = torch.tensor([3000.0, 2000.0, 10.0] if lengths is None else [2200.0, 1466.0, 10.0])
    steps = 3000 if lengths is None else 2200
    found = firing_rates(spikes.to(dtype), lengths)
    assert found.dtype == torch.float32
    assert torch.allclose(found, per_neuron * 1000 / steps, rtol=1e-6, atol=0)


def test_spikes_of_half_precision_receive_their_gradient() -> None:
    z = torch.ones(2, 1500, 3).bfloat16().requires_grad_()
    RateTerm("mean_hz", 1.0)(z).backward()
    assert z.grad is not None
    assert z.grad.dtype == torch.bfloat16
    wanted = 2 / 3 * (1000.0 - 10.0) * 1000 / 3000  # of (f - f*)^2 / 3, f in Hz
    assert torch.equal(z.grad, torch.full_like(z, wanted))


@pytest.mark.parametrize(("reading", "wanted"), [("mean_hz", 5.0), ("sum_khz", 1e-5), ("population_hz", 0.5)])
def test_units_of_the_loss(reading: str, wanted: float) -> None:
    assert float(RateTerm(reading, 0.5, 10.0).loss(torch.tensor([12.0, 6.0]))) == pytest.approx(wanted)


def test_a_time_step_of_two_milliseconds_halves_the_rates() -> None:
    z = make("lif", x_learns=False).layer(torch.ones(2, 30, N_IN).double())
    assert relative(firing_rates(z, dt_ms=2.0) * 2, firing_rates(z)) < EXACT


def test_wrong_readings_and_lengths_are_refused() -> None:
    z = make("lif").layer(torch.ones(3, 30, N_IN).double())
    with pytest.raises(UsageError, match="sum_khz"):
        RateTerm("sum_mhz")
    for wrong in (torch.tensor([30, 31, 2]), torch.tensor([1, 2]), [1, 2, 3], torch.tensor([1.0, 2.0, 3.0])):
        with pytest.raises(UsageError, match="lengths"):
            firing_rates(z, wrong)
    with pytest.raises(UsageError, match="no step"):
        firing_rates(z, torch.zeros(3, dtype=torch.int64))
