"""Feedback: the printed sums of Eq. 42 and 49, readings of feedback that changes, and checkpoints."""

import dataclasses
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop import (
    BPTT,
    LIF,
    Bidirectional,
    EProp,
    Feedback,
    Frozen,
    Readout,
    RecurrentLayer,
    Rule,
    SpikingNetwork,
    Trace,
    UsageError,
)
from tests.oracle.eprop.conftest import (
    EXACT,
    KAPPA,
    LOSSES,
    WRONG,
    Case,
    N,
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

CHANGING = {
    "by_error": Feedback("random", window_ms=7),
    "by_slice": Feedback("random", window_ms=7, time="slice"),
    "every_step": Feedback("random", window_ms=1),
}


def signal(case: Case, b: Tensor, window: int = 0, by_slice: bool = False) -> Tensor:
    """L_j^t = sum over t' >= t of kappa^(t' - t) sum_k B_jk dE/dy_k^t' (Eq. 42, 49) of E = half the sum of squares;
    B [window, neuron, readout] by the time of the error t', or by that of the slice t."""
    z = written(case.layer, case.x.detach()).z
    error = (read(case.readout, z) - case.target).detach()
    steps, total = z.shape[1], torch.zeros_like(z)
    for t in range(steps):
        for later in range(t, steps):
            at = b[(t if by_slice else later) // window if window else 0]
            total[:, t] += case.readout.scale * KAPPA ** (later - t) * error[:, later] @ at.T
    return total


def found_in(case: Case, way: str) -> dict[str, Tensor]:
    return of_layer(LOSSES["squared_error"](case, *case.forward(way)), case.layer)


@pytest.mark.parametrize("neuron", ["lif", "alif"])
@pytest.mark.parametrize("kind", ["symmetric", "random", "global"])
def test_e_prop_is_the_printed_double_sum(neuron: str, kind: str, way: str) -> None:
    case = make(neuron, EProp(), kind, steps=40)
    if kind == "symmetric":
        b = case.readout.w_out.detach().T[None]
    elif kind == "global":
        b = torch.full((1, N, 2), N**-0.5).double()
    else:
        drawn = torch.Generator().manual_seed(int(case.readout.feedback_seed))
        b = torch.randn(N, 2, generator=drawn)[None].double() * N**-0.5
    x = case.x.detach()
    found = found_in(case, way)
    tolerance = 1e-6 if kind != "symmetric" else EXACT  # B is drawn in float32
    assert_equal(found, printed(case.layer, x, signal(case, b)), tolerance)
    assert_differ(found, printed(case.layer, x, signal(case, -b)), "w_in", "w_rec")
    assert_differ(found, printed(case.layer, x, signal(case, b).flip(1)), "w_in", "w_rec")


@pytest.mark.parametrize("neuron", ["lif", "alif"])
@pytest.mark.parametrize("name", CHANGING)
def test_feedback_that_changes_is_the_printed_sum(neuron: str, name: str, way: str) -> None:
    feedback = CHANGING[name]
    case, x = (c := make(neuron, EProp(), feedback, steps=40)), c.x.detach()
    window, by_slice = round(feedback.window_ms), feedback.time == "slice"
    b = case.readout.feedback_weights(40)
    assert b.shape == (-(-40 // window), N, 2)
    found = found_in(case, way)
    assert_equal(found, printed(case.layer, x, signal(case, b, window, by_slice)))
    assert_differ(found, printed(case.layer, x, signal(case, b, window, not by_slice)), "w_in", "w_rec")
    assert_differ(found, printed(case.layer, x, signal(case, b, 3 * window, by_slice)), "w_in", "w_rec")


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
@pytest.mark.parametrize("kind", ["random", "global"])
def test_weights_of_the_readout_keep_their_gradient(neuron: str, kind: str, way: str, rule: Rule) -> None:
    """Eq. 48 whatever the feedback is; the neurons' gradient is autograd's with B in place of w_out."""
    case = make(neuron, rule, kind)
    found = case.gradients(LOSSES["of_z_beside_y"](case, *case.forward(way)))
    b = case.readout.feedback_weights(60)[0]
    cut = isinstance(rule, EProp)
    assert_equal(found, case.gradients(LOSSES["of_z_beside_y"](case, *unrolled(case, cut, feedback=b))))
    symmetric = case.gradients(LOSSES["of_z_beside_y"](case, *unrolled(case, cut)))
    assert relative(found["w_out"], symmetric["w_out"]) < EXACT
    assert_differ(found, symmetric, "w_in", "w_rec", "x")


def test_variance() -> None:
    many = 400
    for variance, wanted in (("one_over_n", 1 / many), ("one", 1.0)):
        readout = Readout(many, 30, feedback=Feedback("random", variance=variance))
        b = readout.feedback_weights(10)
        assert b.shape == (1, many, 30)
        assert float(b.var()) == pytest.approx(wanted, rel=0.05)
        assert abs(float(b.mean())) < 0.05 * wanted**0.5
    assert torch.equal(Readout(many, 3, feedback="global").feedback_weights(10), torch.full((1, many, 3), many**-0.5))


def test_b_is_a_function_of_seed_and_window_alone() -> None:
    one = Readout(N, 2, feedback=Feedback("random", window_ms=5))
    two = Readout(N, 2, feedback=Feedback("random", window_ms=5))
    two.seed_feedback(int(one.feedback_seed))
    short, long = one.feedback_weights(20).clone(), two.feedback_weights(200)
    assert long.shape[0] == 40
    assert torch.equal(long[:4], short)
    assert torch.equal(one.feedback_weights(200), long)  # grown after a short trial
    assert torch.equal(one.feedback_weights(11), long[:3])
    torch.rand(5)  # the result does not depend on the global random numbers
    one.feedback = one.feedback
    assert torch.equal(one.feedback_weights(20), short)
    assert all(relative(long[i], long[j]) > WRONG for i in range(6) for j in range(i))
    two.seed_feedback(1)
    assert relative(two.feedback_weights(20), short) > WRONG  # control
    once = Readout(N, 2, feedback="random")
    once.seed_feedback(int(one.feedback_seed))
    assert torch.equal(once.feedback_weights(20)[0], short[0])


def test_the_generator_decides_on_the_seed() -> None:
    draws = [Readout(N, 2, generator=torch.Generator().manual_seed(s)).feedback_seed for s in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]


def test_feedback_may_be_changed_at_any_time() -> None:
    case = make("lif", EProp(), "random", steps=40)
    random = found_in(case, "two")
    case.readout.feedback = "symmetric"
    symmetric = found_in(case, "two")
    case.readout.feedback = Feedback("random")
    assert_equal(found_in(case, "two"), random)
    assert_differ(symmetric, random, "w_in", "w_rec")


def network(rule: Rule, feedback: Feedback | str) -> SpikingNetwork:
    return SpikingNetwork(RecurrentLayer(LIF(15.0, 0.6, 3), 5, N, rule=rule), Readout(N, 2, 40.0, feedback=feedback))


def through_a_file(module: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("rule", [EProp(), EProp(Trace("clopath", "swapped", False)), Frozen(), BPTT()])
@pytest.mark.parametrize("feedback", [Feedback("random", 7.0, "slice", "one"), Feedback("random"), Feedback("global")])
def test_a_checkpoint_restores_rule_feedback_and_b(rule: Rule, feedback: Feedback) -> None:
    saved, fresh = network(rule, feedback), network(BPTT(), "symmetric")
    wanted = saved.readout.feedback_weights(30).clone()
    fresh.readout.feedback = "random"
    assert not torch.equal(fresh.readout.feedback_weights(30), wanted)  # drawn, and to be forgotten
    fresh.readout.feedback = "symmetric"
    fresh.load_state_dict(through_a_file(saved))
    assert fresh.layer.rule == rule
    assert fresh.readout.feedback == feedback
    assert torch.equal(fresh.readout.feedback_weights(30), wanted)
    x = (torch.rand(2, 30, 5) < 0.2).float()
    if not rule.plastic:
        return
    found, same = (torch.autograd.grad(n(x)[0].sin().sum(), n.layer.w_in)[0] for n in (fresh, saved))
    assert torch.equal(found, same)


def test_b_is_drawn_anew_where_a_checkpoint_brings_another_seed() -> None:
    saved, other = network(EProp(), "random"), network(EProp(), "random")
    wanted = saved.readout.feedback_weights(30).clone()
    assert relative(other.readout.feedback_weights(30), wanted) > WRONG
    other.load_state_dict(through_a_file(saved))
    assert torch.equal(other.readout.feedback_weights(30), wanted)


@dataclasses.dataclass(frozen=True)
class Doubled(Rule):
    """A rule of the user's."""

    factor: float = 2.0

    def delta(self, neuron: Any, trajectory: Any, signal: Tensor, w_rec: Tensor) -> Tensor:
        return self.factor * signal * trajectory.h


def test_a_rule_of_the_user_is_restored_where_it_is_defined() -> None:
    state = through_a_file(network(Doubled(3.0), "random"))
    fresh = network(BPTT(), "symmetric")
    fresh.load_state_dict(state)
    assert fresh.layer.rule == Doubled(3.0)
    del Rule.by_name["Doubled"]
    try:
        with pytest.raises(UsageError, match="'Doubled', which is not defined here"):
            network(BPTT(), "symmetric").load_state_dict(state)
    finally:
        Rule.by_name["Doubled"] = Doubled
    key = "layer._extra_state"
    with pytest.raises(UsageError, match="do not fit"):
        network(BPTT(), "symmetric").load_state_dict(state | {key: {"rule": "Doubled", "speed": 1}})


def test_a_rule_of_the_user_is_what_it_says(way: str) -> None:
    case = make("lif", Doubled(3.0))
    found = case.gradients(LOSSES["squared_error"](case, *case.forward(way)))
    case.layer.rule = EProp(trace="truncated")
    one = case.gradients(LOSSES["squared_error"](case, *case.forward(way)))
    assert_equal({n: found[n] for n in ("w_in", "w_rec", "x")}, {n: 3 * one[n] for n in ("w_in", "w_rec", "x")})
    assert_differ(found, one, "w_in", "w_rec", "x")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kind": "other"}, "symmetric, random, global"),
        ({"time": "now"}, "error, slice"),
        ({"variance": "two"}, "one_over_n, one"),
        ({"kind": "global", "window_ms": 5}, "has none"),
        ({"kind": "random", "window_ms": -5}, "0 or more"),
    ],
)
def test_feedback_without_meaning_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Feedback(**values)


def test_what_is_no_rule_or_no_feedback_is_refused() -> None:
    case = make("lif")
    with pytest.raises(UsageError, match="BPTT\\(\\), EProp\\(\\) or Frozen"):
        setattr(case.layer, "rule", "eprop")  # noqa: B010
    with pytest.raises(UsageError, match="symmetric, random, global"):
        setattr(case.readout, "feedback", 3)  # noqa: B010
    with pytest.raises(UsageError, match="readout of frames"):
        Readout(N, 2, frame_steps=5, feedback=Feedback("random", window_ms=5))
    with pytest.raises(UsageError, match="full, truncated, presynaptic, clopath"):
        EProp(trace="other")
    with pytest.raises(UsageError, match="12 neurons and the readout reads 13"):
        SpikingNetwork(case.layer, Readout(13, 2))
    with pytest.raises(UsageError, match="they read the same"):
        Bidirectional(case.layer, RecurrentLayer(LIF(), 4, N))
    assert wave(case.x).shape == case.x.shape
