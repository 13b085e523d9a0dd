"""A spiking layer and its readout in one kernel each way are the two layers, and are used where they are defined."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop import (
    ALIF,
    BPTT,
    LIF,
    EProp,
    Feedback,
    Frozen,
    Held,
    RateTerm,
    Rule,
    SpikingNetwork,
    Trace,
    spike_trains,
)
from repro.eprop.kernels import dispatch
from repro.eprop.layers.readout import Readout
from tests.oracle.eprop.conftest import (
    GAMMA,
    N_OUT,
    NEURONS,
    V_TH,
    Case,
    Heaviside,
    N,
    assert_differ,
    assert_equal,
    make,
    wave,
)

EXACT = {torch.float64: 1e-12, torch.float32: 2e-6}
FEEDBACK = [Feedback(), Feedback("random", variance="one"), Feedback("global")]
NEURONS_HERE = {
    "lif": NEURONS["lif"],
    "some adapt": NEURONS["alif"],
    "all adapt": ALIF(15.0, V_TH, 3, GAMMA, 0.1, 90.0),
    "none adapts": ALIF(15.0, V_TH, 3, GAMMA, 0.1, 90.0, 0),
    "no refractory period": LIF(15.0, V_TH, 0, GAMMA),
}
LOSS_OF_Z = {
    "no other loss": lambda z: 0.0,
    "the rate term": RateTerm("mean_hz", 1e-4),
    "any loss of z": lambda z: (z * wave(z)).mean() + RateTerm("mean_hz", 1e-4)(z),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each of the fused kernels was called."""
    counted: Counter[str] = Counter()
    for name in dispatch.FUSED:
        kernel = getattr(dispatch.operators("cpu"), name)

        def counting(*arguments: Any, name: str = name, kernel: Any = kernel) -> Any:
            counted[name] += 1
            return kernel(*arguments)

        monkeypatch.setattr(dispatch.operators("cpu"), name, counting)
    yield counted


def results(case: Case, way: str, of_z: Any, **options: Any) -> dict[str, Tensor]:
    """y, z and the gradients of a loss."""
    network = case.network
    z = None
    if way == "pair":
        y, z, after = network(case.x, return_state=True, **options)
    else:
        before = options.pop("y_before", None)
        z, after = case.layer(case.x, return_state=True, **options)
        y = case.readout(z, before)
    loss = 0.5 * (y - case.target).square().sum() + of_z(z)
    state = {f"state {k}": x for k, x in enumerate((*after.variables, after.z, after.refractory)) if x.any()}
    return case.gradients(loss) | {"y": y.detach(), "z": z.detach()} | state


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize(("name", "feedback"), list(itertools.product(NEURONS_HERE, FEEDBACK)))
def test_gradients_state_and_outputs(name: str, feedback: Feedback, dtype: torch.dtype, calls: Counter[str]) -> None:
    for of_z in LOSS_OF_Z.values():
        case = make(NEURONS_HERE[name], EProp(), feedback, dtype=dtype)
        one = results(case, "pair", of_z)
        assert calls == {"network_forward": 1, "network_reverse": 1}
        assert_equal(one, results(case, "two", of_z), EXACT[dtype])
        assert calls == {"network_forward": 1, "network_reverse": 1}, "two layers are no fused pass"
        calls.clear()
    case.readout.kappa *= 0.9  # control: a filter that is a little shorter
    assert_differ(one, results(case, "two", of_z), "w_in", "w_rec", "w_out", "y")


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize(("name", "feedback"), list(itertools.product(NEURONS_HERE, FEEDBACK[:2])))
def test_bptt_of_many_neurons(
    name: str, feedback: Feedback, dtype: torch.dtype, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make(NEURONS_HERE[name], BPTT(), feedback, dtype=dtype)
    two = results(case, "two", LOSS_OF_Z["any loss of z"])
    results(case, "pair", torch.mean)
    assert calls == {"network_forward": 1}, "these are few"
    monkeypatch.setattr(dispatch, "FEW_NEURONS", N - 1)
    calls.clear()
    one = results(case, "pair", LOSS_OF_Z["any loss of z"])
    assert calls == {"network_forward": 1, "network_reverse": 1}
    assert_equal(one, two, EXACT[dtype])
    case.layer.rule = EProp()  # control: no way through the network
    assert_differ(one, results(case, "pair", LOSS_OF_Z["any loss of z"]), "w_in", "w_rec")


@pytest.mark.parametrize("rule", [EProp(), BPTT()])
@pytest.mark.parametrize("frame_steps", [1, 5])
def test_padding_and_frames(rule: Rule, frame_steps: int, calls: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "FEW_NEURONS", N - 1)
    case = make("alif", rule, "random", frame_steps=frame_steps)

    def of(way: str, lengths: Tensor) -> dict[str, Tensor]:
        y, z = case.forward(way, lengths=lengths)
        return case.gradients(0.5 * (y - case.target).square().sum() + RateTerm("mean_hz", 1e-4)(z, lengths))

    one = of("pair", torch.tensor([60, 0, 30]))
    assert calls == {"network_forward": 1, "network_reverse": 1}
    assert_equal(one, of("two", torch.tensor([60, 0, 30])), EXACT[torch.float64])
    assert_differ(one, of("pair", torch.tensor([60, 5, 30])), "w_in", "w_rec", "w_out")  # control: one is longer


INPUTS = {
    "events": spike_trains,
    "frames that are held": lambda x: Held(x[:, ::5].detach().clone().requires_grad_(), 5),
    "values that are no spikes": lambda x: x * 1.5,
}


@pytest.mark.parametrize("form", INPUTS)
def test_forms_of_input(form: str, calls: Counter[str]) -> None:
    case = make("alif", EProp(), "random", x_learns=False)

    def of(way: str, x: Tensor) -> dict[str, Tensor]:
        given = INPUTS[form](x)
        y, z = case._replace(x=given).forward(way)
        tensors = {name: w for name, w in case.weights.items() if name != "x"}
        tensors |= {"frames": given.frames} if isinstance(given, Held) else {}
        loss = 0.5 * (y - case.target).square().sum() + z.mean()
        return dict(zip(tensors, torch.autograd.grad(loss, list(tensors.values())), strict=True))

    one = of("pair", case.x)
    assert calls == {"network_forward": 1, "network_reverse": 1}
    assert_equal(one, of("two", case.x), EXACT[torch.float64])
    assert_differ(one, of("pair", case.x.roll(7, dims=1)), "w_in", "w_rec", "w_out")  # control: inputs that are late


def test_a_layer_above_another_reads_its_spikes_as_events(calls: Counter[str]) -> None:
    below, above = make("lif", EProp()), make("alif", EProp(), "random")
    above.layer.w_in = torch.nn.Parameter(wave(torch.empty(N, N, dtype=torch.float64)) / 3)
    above.layer.n_in = N

    def of(way: str) -> dict[str, Tensor]:
        z = below.layer(below.x)
        y = above.network(z)[0] if way == "pair" else above.readout(above.layer(z))
        names = {"below": below.layer.w_in, "x": below.x, "w_in": above.layer.w_in, "w_out": above.readout.w_out}
        loss = 0.5 * (y - above.target).square().sum()
        return dict(zip(names, torch.autograd.grad(loss, list(names.values())), strict=True))

    one = of("pair")
    assert calls == {"network_forward": 1, "network_reverse": 1}
    two = of("two")
    assert_equal(one, two, EXACT[torch.float64])
    above.readout.seed_feedback(5)
    assert_differ(one, of("pair"), "below", "x", "w_in")  # control: another B


def test_from_a_state_with_spikes_and_with_a_readout_before(calls: Counter[str]) -> None:
    case = make("alif", EProp(), "random", steps=40)
    states = [case.layer(case.x[:, : 30 + k], return_state=True)[1] for k in range(8)]
    state = next(state for state in states if state.z.any())
    options = {"state": state, "y_before": wave(torch.empty(3, N_OUT, dtype=torch.float64))}
    one = results(case, "pair", lambda z: 0.0, **options)
    assert calls == {"network_forward": 1, "network_reverse": 1}
    assert_equal(one, results(case, "two", lambda z: 0.0, **options), EXACT[torch.float64])
    silent = options | {"state": state._replace(z=torch.zeros_like(state.z))}  # control
    assert_differ(one, results(case, "pair", lambda z: 0.0, **silent), "w_in", "w_rec", "y")


@pytest.mark.parametrize("outs", [1, 3, 4])
def test_any_number_of_readouts_without_recurrence_or_bias(outs: int, calls: Counter[str]) -> None:
    case = make("alif", EProp(), recurrent=False, bias=False)
    readout = Readout(N, outs, 40.0, feedback="random", generator=torch.Generator().manual_seed(3)).double()
    target = wave(torch.empty(3, 60, outs, dtype=torch.float64))
    case = case._replace(readout=readout, target=target)
    one = results(case, "pair", lambda z: z.mean())
    assert calls == {"network_forward": 1, "network_reverse": 1}
    assert_equal(one, results(case, "two", lambda z: z.mean()), EXACT[torch.float64])
    readout.w_out.data[-1] *= 1.1  # control: the last one counts
    assert_differ(one, results(case, "pair", lambda z: z.mean()), "w_out", "y")


@dataclasses.dataclass(frozen=True)
class ReversedSign(EProp):
    """A rule of the user's, made from ours."""

    def delta(self, *arguments: Any) -> Tensor:
        return -super().delta(*arguments)


class OwnGradient(LIF):
    """A neuron of the user's, made from ours."""

    def e_prop_delta(self, *arguments: Any) -> Tensor:
        return 2 * super().e_prop_delta(*arguments)


class OwnDynamics(LIF):
    """Another one."""

    def simulate(self, current: Tensor, *arguments: Any) -> Any:
        return super().simulate(1.1 * current, *arguments)


NOT_REVERSED: list[tuple[Rule, Feedback]] = [
    (BPTT(), Feedback()),
    (Frozen(), Feedback()),
    (EProp(trace="truncated"), Feedback()),
    (EProp(trace=Trace("clopath")), Feedback("random")),
    (ReversedSign(), Feedback()),
    (EProp(), Feedback("random", window_ms=7)),
    (EProp(), Feedback("random", window_ms=7, time="slice")),
]


@pytest.mark.parametrize(("rule", "feedback"), NOT_REVERSED, ids=lambda x: str(x)[:40])
def test_what_the_way_back_is_not_defined_for_is_left_to_the_layers(
    rule: Rule, feedback: Feedback, calls: Counter[str]
) -> None:
    case = make("lif", rule, feedback, x_learns=False)
    wanted = [name for name in case.weights if name != "x"]

    def of(way: str) -> dict[str, Tensor]:
        y, z = case.forward(way)
        (0.5 * (y - case.target).square().sum() + z.mean()).backward()
        gradients = {name: case.weights[name].grad for name in wanted}
        case.network.zero_grad()
        return {name: gradient for name, gradient in gradients.items() if gradient is not None}

    one = of("pair")
    assert calls == {"network_forward": 1}
    assert_equal(one, of("two"), EXACT[torch.float64])
    case.readout.kappa *= 0.9  # control
    assert_differ(one, of("two"), "w_out")


def test_a_neuron_may_have_a_way_back_of_its_own(calls: Counter[str]) -> None:
    own, ours = (make(kind(15.0, V_TH, 3, GAMMA), EProp()) for kind in (OwnGradient, LIF))
    one, two, other = (results(case, way, torch.mean) for case, way in ((own, "pair"), (own, "two"), (ours, "pair")))
    assert calls == {"network_forward": 2, "network_reverse": 1}
    assert_equal(one, two, EXACT[torch.float64])
    assert_differ(one, other, "w_in", "w_rec")  # control: ours


def test_a_readout_in_another_precision(calls: Counter[str]) -> None:
    case = make("lif", EProp())
    single = Readout(N, N_OUT).float()
    weights = case.layer.w_in, case.layer.w_rec, single.w_out

    def of(y: Tensor) -> dict[str, Tensor]:
        gradients = torch.autograd.grad(y.square().sum(), weights)
        return dict(zip(("w_in", "w_rec", "w_out"), gradients, strict=True))

    one = of(SpikingNetwork(case.layer, single)(case.x)[0])
    assert calls == {"network_forward": 1, "network_reverse": 1}
    assert_equal(one, of(single(case.layer(case.x))), EXACT[torch.float32])
    assert_differ(one, of(2 * single(case.layer(case.x))), "w_in", "w_rec", "w_out")  # control


def test_what_the_kernels_are_not_defined_for_is_left_to_the_layers(calls: Counter[str]) -> None:
    own = OwnDynamics(15.0, V_TH, 3, GAMMA)
    surrogate = LIF(15.0, V_TH, 3, GAMMA, surrogate=lambda x: Heaviside.apply(V_TH * x, torch.zeros_like(x)))
    for case in (make(own, EProp()), make(surrogate, EProp()), make("own", EProp())):
        case.forward("pair")[0].sum().backward()
    assert not calls
    make("lif", EProp()).forward("pair")  # control: it would have been counted
    assert calls == {"network_forward": 1}
