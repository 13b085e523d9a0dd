"""What is known of an array of spikes: nothing of other arrays, nothing once it has changed."""

import copy
import io
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from repro.eprop import RateTerm, RecurrentLayer, SpikeTrains, firing_rates, spike_trains
from repro.eprop.kernels.padding import cheapest, known_spikes, spike_counts
from tests.oracle.eprop.conftest import EXACT, WRONG, N, assert_differ, assert_equal, make, of_layer, relative
from tests.oracle.eprop.test_rate_term import LENGTHS, by_hand, of_layer_of_many

MADE: dict[str, Callable[[Tensor], Tensor]] = {
    "sliced": lambda z: z[:, 10:],
    "multiplied": lambda z: z * 2,
    "detached": lambda z: z.detach(),
    "indexed": lambda z: z[:, :, [0, 3]],
    "cloned": lambda z: z.clone(),
    "masked": lambda z: z.masked_fill(torch.arange(N) > 5, 0),
    "copied": lambda z: copy.deepcopy(z.detach()),
}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("name", MADE)
def test_what_is_known_of_spikes_is_not_known_of_other_arrays(name: str, lengths: Tensor | None) -> None:
    case = make("lif", x_learns=False)
    z = case.layer(case.x, lengths=lengths)
    assert known_spikes(z) is not None
    other = MADE[name](z)
    assert known_spikes(other) is None
    assert cheapest(other) is other
    assert relative(firing_rates(other), other.mean(dim=(0, 1)) * 1000) < EXACT
    if other.shape[2] == N:
        assert relative(case.readout(other), case.readout(other.clone())) < EXACT


@pytest.mark.parametrize("array", ["z", "view", "detached"])
def test_spikes_that_change_in_place_are_no_longer_known(array: str) -> None:
    case = make("lif", x_learns=False)
    with torch.no_grad():
        z = case.layer(case.x)
        before = z.clone()
        {"z": z, "view": z[:, 3], "detached": z.detach()}[array].fill_(1)
        assert known_spikes(z) is None
        assert relative(firing_rates(z), z.mean(dim=(0, 1)) * 1000) < EXACT
        assert relative(case.readout(z), case.readout(z.clone())) < EXACT
        upper = RecurrentLayer(case.layer.neuron, N, N).double()
        assert torch.equal(upper(z), upper(z.clone()))
        assert relative(firing_rates(z), firing_rates(before)) > WRONG  # control


@pytest.mark.parametrize("change", ["numpy", "data", "detached numpy"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_a_lesion_that_raises_no_version_is_seen_by_the_number_of_spikes(change: str, lengths: Tensor | None) -> None:
    case = make("lif", x_learns=False)
    with torch.set_grad_enabled(change != "numpy"):
        z = case.layer(case.x, lengths=lengths)
        before, version = z.detach().clone(), z._version
        if change == "data":
            z.data[:, :, :8] = 0
        else:
            (z if change == "numpy" else z.detach()).numpy()[:, :, :8] = 0
        assert z._version == version
        plain = z.detach().clone()
        assert not plain[..., :8].any()
        assert plain.any()
        assert torch.equal(firing_rates(z, lengths), firing_rates(plain, lengths))
        assert torch.equal(case.readout(z), case.readout(plain))
        upper = RecurrentLayer(case.layer.neuron, N, N).double()
        assert torch.equal(upper(z, lengths=lengths), upper(plain, lengths=lengths))
        assert relative(case.readout(plain), case.readout(before)) > WRONG  # control


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_spikes_that_nobody_changed_are_read_as_events(lengths: Tensor | None) -> None:
    z = make("lif", x_learns=False).layer(make("lif").x, lengths=lengths)
    events = cheapest(z)
    assert isinstance(events, SpikeTrains)
    assert torch.equal(events.dense(torch.float64), z)


def test_what_is_known_goes_with_the_array() -> None:
    z = make("lif", x_learns=False).layer(make("lif").x)
    known = known_spikes(z)
    assert known is not None
    assert known.events is not None
    channel = weakref.ref(known.events.channel)
    del known
    assert channel() is not None
    del z
    assert channel() is None


def test_a_layers_output_is_saved_as_an_array_alone() -> None:
    case, file, plain = make("lif", x_learns=False), io.BytesIO(), io.BytesIO()
    with torch.no_grad():
        z = case.layer(case.x)
    torch.save({"spikes": z}, file)
    torch.save({"spikes": z.clone()}, plain)
    assert len(file.getvalue()) == len(plain.getvalue())
    file.seek(0)
    loaded = torch.load(file, weights_only=True)["spikes"]
    assert torch.equal(loaded, z)
    assert known_spikes(loaded) is None


def test_changing_spikes_before_the_backward_pass_is_an_error() -> None:
    case = make("lif", x_learns=False)
    z = case.layer(case.x)
    loss = case.readout(z).sum()
    with torch.no_grad():
        z[:, 3] = 1
    with pytest.raises(RuntimeError, match="modified inplace"):
        loss.backward()


@pytest.mark.parametrize("reader", [None, LENGTHS, torch.tensor([60, 60, 60]), torch.tensor([10, 20, 60])])
@pytest.mark.parametrize("neuron", ["lif", "rate"])
def test_spikes_of_a_layer_with_lengths_are_read_with_others_or_none(reader: Tensor | None, neuron: str) -> None:
    """z is zero in its padding, whatever the neurons did there."""
    case = make(neuron, x_learns=False)
    trajectory, _ = case.layer.simulate(case.x)
    z = case.layer(case.x, lengths=LENGTHS)
    assert not z[1].any()
    assert trajectory.z[1].any()
    plain = z.detach().clone()
    assert relative(firing_rates(z, reader), firing_rates(plain, reader)) < EXACT
    assert relative(case.readout(z, lengths=reader), case.readout(plain, lengths=reader)) < EXACT
    upper = RecurrentLayer(case.layer.neuron, N, N).double()
    assert relative(upper(z, lengths=reader), upper(plain, lengths=reader)) < EXACT

    def gradients(z: Tensor) -> dict[str, Tensor]:
        out = upper(z, lengths=reader)
        return of_layer_of_many(out.sin().sum() + case.readout(z, lengths=reader).cos().sum() + z.sum(), upper) | {
            "w_out": torch.autograd.grad(case.readout(z, lengths=reader).sin().sum(), case.readout.w_out)[0]
        }

    assert_equal(gradients(z), gradients(plain.requires_grad_()))
    found = of_layer(RateTerm("sum_hz")(z, reader), case.layer)
    real = torch.arange(60)[None, :, None] < LENGTHS[:, None, None]
    wanted = of_layer(by_hand(case.layer.unroll(case.x)[0] * real, "sum_hz", reader), case.layer)
    assert_equal(found, wanted)
    whole = by_hand(case.layer.unroll(case.x)[0], "sum_hz", reader)
    if reader is not LENGTHS:
        assert_differ(found, of_layer(whole, case.layer), "w_in", "w_rec")  # control: what happens in the padding


def test_other_lengths_of_equal_values_are_the_same() -> None:
    case = make("lif", x_learns=False)
    z = case.layer(case.x, lengths=LENGTHS)
    one, two = (of_layer_of_many(RateTerm()(z, x), case.layer) for x in (LENGTHS, LENGTHS.clone()))
    assert_equal(one, two)
    assert relative(firing_rates(z, LENGTHS), firing_rates(z, LENGTHS.clone())) < EXACT


def test_events_are_counted_as_their_array() -> None:
    case = make("lif", x_learns=False)
    z = case.layer(case.x).detach()
    for lengths in (None, LENGTHS):
        assert torch.equal(spike_counts(spike_trains(z), lengths), spike_counts(z, lengths))
