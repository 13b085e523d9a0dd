"""A padded batch is its trials alone: values and gradients, whatever stands in the padding."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop import BPTT, EProp, Held, Readout, RecurrentLayer, Rule, spike_trains
from repro.eprop.kernels.padding import flip, mask_, without_padding
from tests.oracle.eprop.conftest import (
    EXACT,
    N_IN,
    WRONG,
    Case,
    N,
    assert_equal,
    make,
    read,
    relative,
    unrolled,
)

LENGTHS = torch.tensor([40, 0, 25])
RULES = pytest.mark.parametrize("rule", [BPTT(), EProp()])
FORMS = pytest.mark.parametrize("form", ["dense", "events", "held"])


def inputs(case: Case, form: str, garbage: float) -> tuple[Any, Tensor]:
    """The same trials, as a form of input and as a dense array; their padding is noise of this size."""
    x = case.x.detach().clone()
    if form == "held":
        frames = x[:, ::5].clone()
        frames += garbage * torch.randn(frames.shape).double() * (torch.arange(8) >= (LENGTHS // 5)[:, None])[..., None]
        return Held(frames, 5), frames.repeat_interleave(5, dim=1)
    padding = (torch.arange(40) >= LENGTHS[:, None])[..., None].expand_as(x)
    if form == "events":
        x = torch.where(padding, (torch.rand(x.shape) < min(garbage, 1.0)).double(), x)
        return spike_trains(x), x
    x += garbage * torch.randn(x.shape).double() * padding
    return x, x


def alone(case: Case, x: Tensor, detach: bool) -> tuple[Tensor, Tensor]:
    """Each trial without its padding; zeros behind its end."""
    ys, zs = [], []
    width = case.readout.frame_steps
    for trial, length in zip(x, LENGTHS.tolist(), strict=True):
        y, z = torch.zeros(0, 2).double(), torch.zeros(0, N).double()
        if length:
            y, z = (a[0] for a in unrolled(case._replace(x=trial[None, :length]), detach))
        ys.append(nn.functional.pad(y, (0, 0, 0, (40 - length) // width)))
        zs.append(nn.functional.pad(z, (0, 0, 0, 40 - length)))
    return torch.stack(ys), torch.stack(zs)


def gradients(case: Case, y: Tensor, z: Tensor) -> dict[str, Tensor]:
    loss = (y - case.target[:, : y.shape[1]]).square().sum() + z.mean(dim=(0, 1)).square().sum()
    return case.gradients(loss)


@FORMS
@RULES
@pytest.mark.parametrize("frame_steps", [1, 5])
def test_a_padded_batch_is_its_trials_alone(way: str, rule: Rule, form: str, frame_steps: int) -> None:
    case = make("alif", rule, steps=40, frame_steps=frame_steps, x_learns=False)
    x, dense = inputs(case, form, 0.3)
    y, z = case._replace(x=x).forward(way, lengths=LENGTHS)
    detach = isinstance(rule, EProp)
    y_wanted, z_wanted = alone(case, dense, detach)
    assert relative(z, z_wanted) < EXACT
    assert relative(y, y_wanted) < EXACT
    found = gradients(case, y, z)
    assert_equal(found, gradients(case, y_wanted, z_wanted))
    whole = unrolled(case._replace(x=dense), detach)  # control: padding is part of the trial
    assert min(relative(found[n], g) for n, g in gradients(case, *whole).items()) > WRONG


@FORMS
@pytest.mark.parametrize("neuron", ["alif", "rate", "own"])
def test_garbage_in_the_padding_changes_nothing(neuron: str, way: str, form: str) -> None:
    case = make(neuron, BPTT(), steps=40, x_learns=False)
    results = []
    for garbage in (0.0, 1.0):
        torch.manual_seed(int(garbage))
        y, z = case._replace(x=inputs(case, form, garbage)[0]).forward(way, lengths=LENGTHS)
        results.append(gradients(case, y, z) | {"y": y, "z": z})
    assert_equal(*results)
    other = case._replace(x=inputs(case, form, 1.0)[0]).forward(way)
    assert relative(other[0], results[0]["y"]) > WRONG  # control


@RULES
def test_inputs_receive_no_gradient_from_padding(way: str, rule: Rule) -> None:
    case = make("alif", rule, steps=40)
    x = case.x.detach().requires_grad_()
    y, z = case._replace(x=x).forward(way, lengths=LENGTHS)
    (found,) = torch.autograd.grad(y.sin().sum() + z.sin().sum(), x)
    leaf = case.x.detach().requires_grad_()
    y, z = alone(case, leaf, isinstance(rule, EProp))
    (wanted,) = torch.autograd.grad(((y.sin()) * (y != 0)).sum() + z.sin().sum(), leaf)
    assert relative(found, wanted) < EXACT
    assert not found[1].any()
    assert not found[2, 25:].any()
    assert relative(found, wanted.roll(1, dims=0)) > WRONG  # control


@RULES
@pytest.mark.parametrize("below", ["alif", "rate"])
def test_stacked_layers(rule: Rule, below: str) -> None:
    case = make(below, rule, steps=40, x_learns=False)
    torch.manual_seed(5)
    upper = RecurrentLayer(make("lif").layer.neuron, N, N, rule=rule).double()
    upper.w_in.data *= 2
    everything = [*case.layer.parameters(), *upper.parameters(), *case.readout.parameters()]
    z = upper(case.layer(case.x, lengths=LENGTHS), lengths=LENGTHS)
    y = case.readout(z, lengths=LENGTHS)
    found = torch.autograd.grad((y * case.target).sum(), everything)
    detach, total = isinstance(rule, EProp), torch.zeros(()).double()
    for trial, target, length in zip(case.x, case.target, LENGTHS.tolist(), strict=True):
        if length:
            z = upper.unroll(case.layer.unroll(trial[None, :length], detach, detach)[0], detach, detach)[0]
            assert z.any()
            total = total + (read(case.readout, z)[0] * target[:length]).sum()
    wanted = torch.autograd.grad(total, everything)
    assert max(relative(x, y) for x, y in zip(found, wanted, strict=True)) < EXACT
    y = case.readout(upper(case.layer(case.x)))
    wrong = torch.autograd.grad((y * case.target).sum(), everything)
    assert min(relative(x, y) for x, y in zip(found, wrong, strict=True)) > WRONG  # control


@RULES
def test_full_lengths_are_none(way: str, rule: Rule, neuron: str) -> None:
    case = make(neuron, rule, steps=40)
    y, z = case.forward(way, lengths=torch.tensor([40, 40, 40]))
    found = gradients(case, y, z) | {"y": y, "z": z}
    y, z = case.forward(way)
    assert_equal(found, gradients(case, y, z) | {"y": y, "z": z})
    y, z = case.forward(way, lengths=torch.tensor([40, 40, 39], dtype=torch.int32))
    assert relative(y, found["y"]) > WRONG  # control: one step less
    assert relative(gradients(case, y, z)["w_in"], found["w_in"]) > 0


@RULES
def test_a_batch_without_a_step_has_no_gradient(way: str, rule: Rule, neuron: str) -> None:
    case = make(neuron, rule, steps=40)
    y, z = case.forward(way, lengths=torch.zeros(3, dtype=torch.int64))
    assert not y.any()
    assert not z.any()
    found = case.gradients(((y - case.target).square()).sum() + z.sum())
    assert not any(g.any() for g in found.values())


def test_pieces_of_ragged_trials_are_the_whole(way: str) -> None:
    """A trial that has ended in an earlier piece has the length 0 in the next."""
    case = make("alif", EProp(), steps=40)
    y, z = case.forward(way, lengths=LENGTHS)
    state, before, pieces = None, None, []
    for first in range(0, 40, 20):
        x, lengths = case.x[:, first : first + 20], (LENGTHS - first).clamp(0, 20)
        if way == "pair":
            y_, z_, state = case.network(x, state, lengths, before, return_state=True)
        else:
            z_, state = case.layer(x, state, lengths, return_state=True)
            y_ = case.readout(z_, before, lengths)
        before = y_.detach()[:, -1] - case.readout.b_out.detach()
        pieces.append((y_, z_))
    assert relative(torch.cat([p[0] for p in pieces], dim=1), y) < EXACT
    assert relative(torch.cat([p[1] for p in pieces], dim=1), z) < EXACT


def test_an_array_is_turned_round_within_its_lengths() -> None:
    x = torch.randn(3, 40, 2).double().requires_grad_()
    turned = flip(x, LENGTHS)
    assert torch.equal(turned[2, :25], x[2, :25].flip(0))
    assert torch.equal(turned[2, 25:], x[2, 25:])
    assert torch.equal(turned[1], x[1])
    assert torch.equal(flip(turned, LENGTHS), x)
    assert torch.autograd.gradcheck(lambda series: flip(series, LENGTHS), (x,))
    assert not torch.equal(turned[2], x[2].flip(0))  # control


def test_events_lose_their_padding() -> None:
    x = (torch.rand(3, 40, N_IN) < 0.3).double()
    assert torch.equal(without_padding(spike_trains(x), LENGTHS).dense(torch.float64), mask_(x.clone(), LENGTHS))


def test_a_readout_alone_reads_ragged_arrays() -> None:
    readout, z = Readout(N, 2, 40.0, bias=True).double(), torch.randn(3, 40, N).double().requires_grad_()
    readout.b_out.data += 0.5
    y = readout(z, lengths=LENGTHS)
    for trial, length in enumerate(LENGTHS.tolist()):
        assert not y[trial, length:].any()
        if length:
            assert relative(y[trial, :length], read(readout, z[trial : trial + 1, :length])[0]) < EXACT
    by_z, by_b = torch.autograd.grad(y.sum(), [z, readout.b_out])
    assert not by_z[1].any()
    assert not by_z[2, 25:].any()
    assert torch.equal(by_b, torch.full((2,), 65.0).double())
