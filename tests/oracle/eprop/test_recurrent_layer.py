"""The layer's backward pass against autograd through the unrolled network, and against the printed sums."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from repro.eprop import BPTT, EProp, EProp3, Frozen, Rate, RecurrentLayer, Trace, UsageError
from tests.oracle.eprop.conftest import (
    ALPHA,
    EXACT,
    LOSSES,
    N_IN,
    REFRACTORY,
    V_TH,
    WRONG,
    N,
    NoReset,
    assert_differ,
    assert_equal,
    make,
    of_layer,
    printed,
    read,
    relative,
    unrolled,
    wave,
    written,
)

LAYER = ("w_in", "w_rec", "x")


@pytest.mark.parametrize("neuron", ["lif", "alif"])
def test_simulation_is_the_printed_dynamics(neuron: str) -> None:
    case = make(neuron)
    wanted = written(case.layer, case.x)
    trajectory, _ = case.layer.simulate(case.x)
    assert torch.equal(case.layer(case.x), wanted.z)
    assert torch.equal(case.layer.unroll(case.x)[0], wanted.z)
    assert relative(trajectory.h, wanted.h) < EXACT
    assert relative(trajectory.variables[0], wanted.v) < EXACT
    unit: Any = case.layer.neuron
    shorter: Any = dataclasses.replace(unit, refractory_ms=REFRACTORY - 1)
    other = RecurrentLayer(shorter, N_IN, N).double()
    other.load_state_dict(case.layer.state_dict())
    assert relative(other(case.x), wanted.z) > WRONG  # control


@pytest.mark.parametrize("loss", LOSSES)
def test_bptt_is_autograd(neuron: str, way: str, loss: str) -> None:
    case = make(neuron, BPTT())
    y, z = case.forward(way)
    y_wanted, z_wanted = unrolled(case)
    assert relative(z, z_wanted) < EXACT
    assert relative(y, y_wanted) < EXACT
    found = case.gradients(LOSSES[loss](case, y, z))
    assert_equal(found, case.gradients(LOSSES[loss](case, y_wanted, z_wanted)))
    assert_differ(found, case.gradients(LOSSES[loss](case, *unrolled(case, detach=True))), "w_in", "w_rec", "x")


@pytest.mark.parametrize("loss", LOSSES)
def test_symmetric_e_prop_is_autograd_without_recurrence_and_reset(neuron: str, way: str, loss: str) -> None:
    case = make(neuron, EProp())
    found = case.gradients(LOSSES[loss](case, *case.forward(way)))
    assert_equal(found, case.gradients(LOSSES[loss](case, *unrolled(case, detach=True))))
    assert_differ(found, case.gradients(LOSSES[loss](case, *unrolled(case))), "w_in", "w_rec", "x")


@pytest.mark.parametrize("kept", ["reset", "recurrence"])
def test_control_e_prop_with_reset_or_recurrence_attached(kept: str) -> None:
    case = make("alif", EProp())
    found = case.gradients(case.layer(case.x).sin().sum() + case.readout.w_out.sum() + case.readout.b_out.sum())
    z, _ = case.layer.unroll(case.x, kept != "recurrence", kept != "reset")
    wrong = case.gradients(z.sin().sum() + case.readout.w_out.sum() + case.readout.b_out.sum())
    assert_differ(found, wrong, *LAYER)


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
def test_two_losses_may_be_differentiated_one_after_the_other(way: str, rule: BPTT | EProp) -> None:
    case = make("alif", rule)
    y, z = case.forward(way)
    first, second = LOSSES["squared_error"](case, y, z), LOSSES["of_z_beside_y"](case, y, z)
    one, two = case.gradients(first, retain_graph=True), case.gradients(second)
    y, z = case.forward(way)
    total = case.gradients(LOSSES["squared_error"](case, y, z) + LOSSES["of_z_beside_y"](case, y, z))
    assert_equal({name: one[name] + two[name] for name in one}, total)
    assert_differ(one, total, *LAYER)


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
def test_an_encoder_before_and_a_perceptron_behind(neuron: str, way: str, rule: BPTT | EProp) -> None:
    case = make(neuron, rule)
    torch.manual_seed(3)
    encoder, head = nn.Linear(4, N_IN).double(), nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    seen = torch.randn(3, 60, 4, dtype=torch.float64)
    names, parameters = zip(*[*encoder.named_parameters(), *head.named_parameters()], strict=True)

    def gradients(detach: bool | None) -> list[torch.Tensor]:
        at = case._replace(x=encoder(seen))
        y, _ = at.forward(way) if detach is None else unrolled(at, detach)
        loss = nn.functional.cross_entropy(head(y[:, -1]), case.label)
        return [*torch.autograd.grad(loss, [*parameters, case.layer.w_in, case.layer.w_rec, case.readout.w_out])]

    exact = isinstance(rule, BPTT)
    found, wanted, wrong = gradients(None), gradients(not exact), gradients(exact)
    assert len(found) == len(names) + 3
    for x, y in zip(found, wanted, strict=True):
        assert relative(x, y) < EXACT
    assert relative(found[0], wrong[0]) > WRONG  # control: the encoder's weights


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
@pytest.mark.parametrize("second", ["lif", "rate"])
def test_two_layers_one_on_the_other(rule: BPTT | EProp, second: str) -> None:
    case = make("alif", rule)
    torch.manual_seed(4)
    upper = RecurrentLayer(make(second).layer.neuron, N, N, rule=rule).double()
    upper.w_in.data *= 2
    everything = [*case.layer.parameters(), *upper.parameters(), *case.readout.parameters(), case.x]

    def gradients(detach: bool | None) -> tuple[torch.Tensor, ...]:
        z = case.layer(case.x) if detach is None else case.layer.unroll(case.x, detach, detach)[0]
        z = upper(z) if detach is None else upper.unroll(z, detach, detach)[0]
        assert 0.01 < z.mean() < 0.8
        y = case.readout(z) if detach is None else read(case.readout, z)
        return torch.autograd.grad((y - case.target).square().sum(), everything)

    exact = isinstance(rule, BPTT)
    found, wanted, wrong = gradients(None), gradients(not exact), gradients(exact)
    assert max(relative(x, y) for x, y in zip(found, wanted, strict=True)) < EXACT
    assert min(relative(found[k], wrong[k]) for k in (0, 1, 2, 3, 6)) > WRONG  # control


@pytest.mark.parametrize("neuron", ["lif", "alif"])
def test_e_prop_is_the_printed_sum(neuron: str) -> None:
    """Eq. 2, 3, 22, 23, 27, 28, with any signal."""
    case = make(neuron, EProp())
    signal = wave(case.target.new_zeros(3, 60, N))
    wanted = printed(case.layer, case.x.detach(), signal)
    found = of_layer((case.layer(case.x) * signal).sum(), case.layer)
    assert_equal(found, wanted)
    late = printed(case.layer, case.x.detach(), signal.roll(1, dims=1))
    assert_differ(found, late, "w_in", "w_rec")


@pytest.mark.parametrize("neuron", ["lif", "alif"])
@pytest.mark.parametrize("kind", ["truncated", "presynaptic"])
def test_simplified_traces_are_their_sums(neuron: str, kind: str) -> None:
    """e = h z and e = z: presynaptic activity of this step for inputs, of the step before for neurons."""
    case = make(neuron, EProp(trace=kind), x_learns=kind == "truncated")
    signal = wave(case.target.new_zeros(3, 60, N))
    z, h, _ = written(case.layer, case.x.detach())
    post = signal * h if kind == "truncated" else signal
    wanted = {"w_in": torch.zeros(N, N_IN).double(), "w_rec": torch.zeros(N, N).double()}
    for t in range(60):
        wanted["w_in"] += post[:, t].T @ case.x.detach()[:, t]
        wanted["w_rec"] += post[:, t].T @ z[:, t - 1] if t else 0
    wanted["w_rec"].fill_diagonal_(0)
    found = of_layer((case.layer(case.x) * signal).sum(), case.layer)
    assert_equal(found, wanted)
    assert_differ(found, printed(case.layer, case.x.detach(), signal), "w_in", "w_rec")
    if kind == "truncated":
        (by_x,) = torch.autograd.grad((case.layer(case.x) * signal).sum(), case.x)
        assert relative(by_x, post @ case.layer.w_in) < EXACT


@pytest.mark.parametrize("thresholds", ["printed", "swapped"])
@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("falls_off", [False, True])
def test_the_clopath_rule_is_eq_57(thresholds: str, rectified: bool, falls_off: bool) -> None:
    trace = Trace("clopath", thresholds, rectified, falls_off)
    case = make("lif", EProp(trace=trace), x_learns=False)
    signal = wave(case.target.new_zeros(3, 60, N))
    z, _, v = written(case.layer, case.x)
    low, high = (0.0, V_TH / 4) if thresholds == "swapped" else (V_TH / 4, 0.0)
    decay = float(torch.exp(torch.tensor(-1 / 10.0, dtype=torch.float64)))

    def summed(rectified: bool, falls_off: bool) -> dict[str, torch.Tensor]:
        found = {}
        for name, pre in {"w_in": case.x, "w_rec": nn.functional.pad(z, (0, 0, 1, -1))}.items():
            v_hat, z_hat = torch.zeros_like(v[:, 0]), torch.zeros_like(pre[:, 0])
            total = torch.zeros(N, pre.shape[2]).double()
            silent = torch.zeros_like(v_hat)
            for t in range(60):
                v_hat = decay * v_hat + (1 - decay) * v[:, t]
                z_hat = ALPHA * z_hat + pre[:, t]
                if t:
                    silent = torch.where(z[:, t - 1] > 0, REFRACTORY - 1, (silent - 1).clamp(min=0))
                now = v[:, t] - high
                factor = (now.relu() if rectified else now) * (v_hat - low).relu() * (silent == 0)
                if falls_off:
                    factor = torch.where(v[:, t] < 2 * V_TH, factor, 0.0)
                total += torch.einsum("bj,bi->ji", signal[:, t] * factor, z_hat)
            found[name] = total
        found["w_rec"].fill_diagonal_(0)
        return found

    found = of_layer((case.layer(case.x) * signal).sum(), case.layer)
    assert_equal(found, summed(rectified, falls_off))
    assert_differ(found, summed(rectified, not falls_off), "w_in", "w_rec")
    if thresholds == "swapped":  # where [v-hat - v-] has no lower bound, the two readings of v+ = 0 hardly differ
        assert_differ(found, summed(not rectified, falls_off), "w_in", "w_rec")
    assert_differ(found, printed(case.layer, case.x, signal), "w_in", "w_rec")


def test_clopath_is_silent_in_a_refractory_period_that_began_before() -> None:
    """Two halves of a trial, of which the first gives the second its state."""
    case = make("lif", EProp(trace=Trace("clopath", "swapped")), x_learns=False)
    layer = case.layer
    for half in range(20, 60):  # a step at which some neuron is refractory and above v_th / 4
        state = layer(case.x[:, :half], return_state=True)[1]
        x = torch.ones_like(case.x[:, half:])
        trajectory, _ = layer.simulate(x, state)
        blocked = (state.refractory + REFRACTORY * state.z) > 1
        if bool((blocked & (trajectory.variables[0][:, 0] > V_TH / 4)).any()):
            break
    else:
        raise AssertionError("no neuron is refractory and excited")
    signal = torch.zeros(3, 60 - half, N, dtype=torch.float64)
    signal[:, 0] = blocked.double()
    by_in, by_rec = torch.autograd.grad((layer(x, state) * signal).sum(), layer.parameters())
    assert not by_in.any()
    assert not by_rec.any()
    (by_in,) = torch.autograd.grad((layer(x, state) * signal.roll(10, dims=1)).sum(), layer.w_in)
    assert by_in.any()  # control


def test_clopath_is_defined_for_lif_neurons_alone() -> None:
    with pytest.raises(UsageError, match="defined for LIF neurons"):
        make("alif", EProp(trace="clopath"))
    case = make("alif", EProp())
    with pytest.raises(UsageError, match="defined for LIF neurons"):
        case.layer.rule = EProp(trace="clopath")


@pytest.mark.parametrize("neuron", [Rate(0.8), NoReset()])
@pytest.mark.parametrize("recurrent", [True, False])
def test_e_prop_is_exact_without_recurrence_and_reset(neuron: Rate | NoReset, recurrent: bool) -> None:
    """LIF neurons always have a reset: there e-prop and BPTT differ even without recurrence."""
    one, two = (make(neuron, rule, recurrent=recurrent) for rule in (EProp(), BPTT()))
    found, wanted = (c.gradients(LOSSES["squared_error"](c, *c.forward("two"))) for c in (one, two))
    if recurrent:
        assert_differ(found, wanted, "w_in", "w_rec", "x")  # control
    else:
        assert_equal(found, wanted)
    reset = [make("lif", rule, recurrent=False) for rule in (EProp(), BPTT())]
    found, wanted = (c.gradients(LOSSES["squared_error"](c, *c.forward("two"))) for c in reset)
    assert_differ(found, wanted, "w_in", "x")


def test_exact_says_which_rules_are_the_gradient() -> None:
    assert BPTT.exact
    assert not EProp.exact
    assert not EProp3.exact
    assert not Frozen.exact
    assert [rule.plastic for rule in (BPTT(), EProp(), Frozen())] == [True, True, False]


@pytest.mark.parametrize("loss", ["squared_error", "of_z_beside_y"])
def test_frozen_weights_keep_still_and_inputs_receive_the_gradient(neuron: str, way: str, loss: str) -> None:
    case = make(neuron, Frozen())
    y, z = case.forward(way)
    names = [*case.weights]
    found = dict(
        zip(
            names,
            torch.autograd.grad(LOSSES[loss](case, y, z), [*case.weights.values()], allow_unused=True),
            strict=True,
        )
    )
    assert found.pop("w_in") is None
    assert found.pop("w_rec") is None
    wanted = case.gradients(LOSSES[loss](case, *unrolled(case)))
    assert_equal(found, {name: wanted[name] for name in found})
    wrong = case.gradients(LOSSES[loss](case, *unrolled(case, detach=True)))
    assert_differ(found, wrong, "x")


@pytest.mark.parametrize("kind", ["presynaptic", "clopath"])
def test_a_trace_without_derivative_has_no_gradient_of_the_input(way: str, kind: str) -> None:
    case = make("lif", EProp(trace=kind))
    y, z = case.forward(way)
    with pytest.raises(UsageError, match="detach the input"):
        (y.sum() + z.sum()).backward()


def test_windows_have_their_own_rule() -> None:
    with pytest.raises(UsageError, match="LSTM"):
        make("lif", EProp3())
    case = make("lif", EProp())
    with pytest.raises(UsageError, match="LSTM"):
        case.layer.rule = EProp3()


def test_a_rule_takes_effect_in_the_next_forward_pass() -> None:
    case = make("lif", EProp())
    z = case.layer(case.x)
    case.layer.rule = BPTT()
    later = case.layer(case.x)
    found, after = (torch.autograd.grad((x * wave(x)).sum(), case.layer.w_in)[0] for x in (z, later))
    by_eprop, by_bptt = (case.layer.unroll(case.x, cut, cut)[0] for cut in (True, False))
    assert relative(found, torch.autograd.grad((by_eprop * wave(z)).sum(), case.layer.w_in)[0]) < EXACT
    assert relative(after, torch.autograd.grad((by_bptt * wave(z)).sum(), case.layer.w_in)[0]) < EXACT
    assert relative(found, after) > WRONG


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
def test_halves_of_a_trial_are_the_whole(neuron: str, way: str, rule: BPTT | EProp) -> None:
    """Values go on from state and y_before; gradients are those of each half, its state a constant."""
    case = make(neuron, rule)
    y, z = case.forward(way)
    at = 1 + int(z[:, 20:40].detach().sum(dim=(0, 2)).argmax()) + 20  # the first half ends with spikes
    half = case._replace(x=case.x[:, :at])
    if way == "pair":
        y_first, z_first, state = half.network(half.x, return_state=True)
    else:
        z_first, state = case.layer(half.x, return_state=True)
        y_first = case.readout(z_first)
    before = (y_first[:, -1] - case.readout.b_out).detach()
    assert not any(x.requires_grad for x in (*state.variables, state.z, state.refractory))
    if way == "pair":
        y_second, z_second = case.network(case.x[:, at:], state=state, y_before=before)
    else:
        z_second = case.layer(case.x[:, at:], state=state)
        y_second = case.readout(z_second, y_before=before)
    assert relative(torch.cat([z_first, z_second], dim=1), z) < EXACT
    assert relative(torch.cat([y_first, y_second], dim=1), y) < EXACT
    assert relative(case.readout(z_second), y[:, at:]) > WRONG  # control: y from zero
    assert relative(case.layer(case.x[:, at:]), z[:, at:]) > WRONG  # control: from rest

    found = case.gradients((y_second * wave(y_second)).sum())
    cut, weights = isinstance(rule, EProp), case.layer.w_rec
    now, series = state, []
    for step in (case.x[:, at:] @ case.layer.w_in.T).unbind(dim=1):
        now = case.layer.neuron.step(now, step + (now.z.detach() if cut else now.z) @ weights.T, cut)
        series.append(now.z)
    wanted = case.gradients((read(case.readout, torch.stack(series, dim=1), before) * wave(y_second)).sum())
    wanted["w_rec"].fill_diagonal_(0)
    assert_equal(found, wanted)
    first = state._replace(z=torch.zeros_like(state.z))
    z_wrong = case.layer(case.x[:, at:], state=first)
    wrong = case.gradients((case.readout(z_wrong, y_before=before) * wave(y_second)).sum())
    assert_differ(found, wrong, "w_rec")  # control: what arrives in the first step is z before it


def test_the_state_returned_is_no_view_of_the_outputs() -> None:
    case = make("lif")
    z, state = case.layer(case.x, return_state=True)
    kept = state.z.clone()
    with torch.no_grad():
        z.detach()[:, -1] = 5
    assert torch.equal(state.z, kept)


def test_autapses_have_no_effect() -> None:
    """Eq. 20 sums over i != j, whatever stands on the diagonal of w_rec."""
    case = make("lif")
    z = case.layer(case.x)
    case.layer.w_rec.data.fill_diagonal_(1.5)
    assert torch.equal(case.layer(case.x), z)
    assert torch.equal(case.layer.unroll(case.x)[0], z)
    found = case.gradients(LOSSES["squared_error"](case, *case.forward("pair")))
    wanted = case.gradients(LOSSES["squared_error"](case, *unrolled(case)))
    assert_equal(found, wanted)
    case.layer.w_rec.data += 0.2
    assert relative(case.layer(case.x), z) > WRONG  # control


def test_a_layer_without_recurrence_has_no_recurrent_weights() -> None:
    case = make("alif", recurrent=False)
    assert case.layer.w_rec is None
    found = case.gradients(LOSSES["squared_error"](case, *case.forward("two")))
    assert_equal(found, case.gradients(LOSSES["squared_error"](case, *unrolled(case))))


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
def test_one_step_is_a_trial(neuron: str, way: str, rule: BPTT | EProp) -> None:
    case = make(neuron, rule)._replace(x=(torch.rand(3, 1, N_IN).double() * 2).requires_grad_())
    y, z = case.forward(way)
    found = case.gradients((y * wave(y)).sum() + (z * wave(z)).sum())
    y, z = unrolled(case)
    wanted = case.gradients((y * wave(y)).sum() + (z * wave(z)).sum(), allow_unused=True)
    assert not found.pop("w_rec").any()
    wanted.pop("w_rec")
    assert_equal(found, wanted)
    assert_differ(found, {name: 2 * x for name, x in wanted.items()}, "w_in", "x")


def test_the_layer_counts_its_backward_passes() -> None:
    case = make("lif")
    case.layer(case.x)
    assert case.layer.backward_passes == 0
    case.forward("pair")[0].sum().backward()
    case.forward("two")[0].sum().backward()
    assert case.layer.backward_passes == 2
