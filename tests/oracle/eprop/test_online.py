"""e-prop 1 forward in time is the factored form and the sum that the paper prints, for all weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop import BPTT, EProp, Feedback, Frozen, RateTerm, Rule, UsageError, firing_rates, online_eprop
from repro.eprop.layers.online import Online
from tests.oracle.eprop.conftest import (
    KAPPA,
    N_IN,
    NEURONS,
    TAU_M_MS,
    WRONG,
    Case,
    assert_differ,
    assert_equal,
    make,
    printed,
    relative,
    wave,
)

FEEDBACK = {
    "random": Feedback("random"),
    "symmetric": Feedback("symmetric"),
    "global": Feedback("global"),
    "resampled": Feedback("random", window_ms=7),
}
STEPS = 130  # more than one chunk


def loss_at(case: Case) -> Callable[[Tensor, int], Tensor]:
    return lambda y, first: 0.5 * (y - case.target[:, first : first + y.shape[1]]).square().sum()


def online(case: Case, rate: RateTerm | None = None, scale: float = 1.0, **options: Any) -> dict[str, Tensor]:
    result = online_eprop(case.layer, case.readout, case.x, loss_at(case), rate, **options)
    return case.gradients(scale * result.loss)


def factored(case: Case, rate: RateTerm | None = None) -> dict[str, Tensor]:
    y, z = case.forward("pair")
    loss = 0.5 * (y - case.target).square().sum()
    return case.gradients(loss if rate is None else loss + rate(z))


def test_what_is_not_finite_is_not_hidden(neuron: str) -> None:
    case = make(neuron, EProp(), FEEDBACK["random"], steps=STEPS, x_learns=False)
    online(case)  # control
    case.x[0, 5, 2] = float("nan")
    with pytest.raises(UsageError, match="no longer finite"):
        online(case)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)])
@pytest.mark.parametrize("feedback", FEEDBACK)
@pytest.mark.parametrize("neuron", NEURONS)
def test_online_is_factored_with_the_rate_term(
    neuron: str, feedback: str, dtype: torch.dtype, tolerance: float
) -> None:
    rate = RateTerm("sum_hz", 0.01, 10.0)
    case = make(neuron, EProp(), FEEDBACK[feedback], steps=STEPS, dtype=dtype, x_learns=False)
    found = online(case, rate)
    assert_equal(found, factored(case, rate), tolerance)
    assert_differ(found, factored(case), "w_in", "w_rec")  # control: no rate term
    assert_equal(online(case, rate, scale=3.0), {name: 3 * g for name, g in found.items()}, tolerance)


@pytest.mark.parametrize("neuron", ["lif", "alif"])
@pytest.mark.parametrize("feedback", FEEDBACK)
def test_online_is_the_printed_sum(neuron: str, feedback: str) -> None:
    """Eq. 45: the learning signal L^t = sum over t' >= t of kappa^(t' - t) B^t' dE/dy^t', and the traces of Eq. 2."""
    case = make(neuron, EProp(), FEEDBACK[feedback], x_learns=False)
    b, window = case.readout.feedback_weights(60), FEEDBACK[feedback].window_steps(1.0)
    y, z = case.forward("pair")
    error = y.detach() - case.target

    def signal(kappa: float) -> Tensor:
        total, later = torch.zeros_like(z), torch.zeros_like(z[:, 0])
        for t in reversed(range(60)):
            later = kappa * later + error[:, t] @ b[t // window if window else 0].T
            total[:, t] = (1 - KAPPA) * later
        return total

    found = {name: gradient for name, gradient in online(case).items() if name in ("w_in", "w_rec")}
    assert_equal(found, printed(case.layer, case.x, signal(KAPPA)))
    alpha = torch.exp(torch.tensor(-1 / TAU_M_MS)).item()
    assert_differ(found, printed(case.layer, case.x, signal(alpha)), "w_in", "w_rec")  # control: alpha for kappa
    assert_differ(found, printed(case.layer, case.x, signal(KAPPA).roll(1, dims=1)), "w_in", "w_rec")  # control: late


def test_values_and_state_are_those_of_the_network() -> None:
    case = make("alif", EProp(), "random", x_learns=False)
    rate = RateTerm("mean_hz", 0.1)
    first = online_eprop(case.layer, case.readout, case.x, loss_at(case), rate, watch=4)
    y, z, state = case.network(case.x, return_state=True)
    assert relative(first.y, y) < 1e-12
    assert torch.equal(first.watched, z[:, :, :4])
    assert relative(first.rates_hz, firing_rates(z)) < 1e-12
    assert float(first.loss) == pytest.approx(float(0.5 * (y - case.target).square().sum() + rate(z)), rel=1e-12)
    assert all(relative(*pair) < 1e-12 for pair in zip(first.state.variables, state.variables, strict=True))
    second = online_eprop(case.layer, case.readout, case.x, loss_at(case), state=first.state)
    wanted = case.gradients(0.5 * (case.readout(case.layer(case.x, state)) - case.target).square().sum())
    gradients = case.gradients(second.loss)
    assert_equal(gradients, wanted)
    assert_differ(gradients, online(case), "w_in", "w_rec")  # control: from rest


def test_without_recurrence_and_bias() -> None:
    case = make("lif", EProp(), "random", recurrent=False, bias=False, x_learns=False)
    assert set(online(case)) == {"w_in", "w_out"}
    assert_equal(online(case), factored(case))


def refused(rule: Rule, feedback: Feedback | str = "random", frame_steps: int = 1) -> Online:
    case = make("lif", rule, feedback, frame_steps=frame_steps, x_learns=False)
    return online_eprop(case.layer, case.readout, case.x, lambda y, first: wave(y).sum())


def test_what_needs_later_errors_is_refused() -> None:
    for rule in (BPTT(), Frozen(), EProp("truncated")):
        with pytest.raises(UsageError, match="not EProp"):
            refused(rule)
    with pytest.raises(UsageError, match="cannot know later errors"):
        refused(EProp(), Feedback("random", 7, time="slice"))
    with pytest.raises(UsageError, match="without frames"):
        refused(EProp(), frame_steps=5)
    case = make("lif", EProp(), x_learns=False)
    with pytest.raises(UsageError, match="rate term last 0.5 ms, those of the readout 1"):
        online_eprop(case.layer, case.readout, case.x, loss_at(case), rate=RateTerm(dt_ms=0.5))
    with pytest.raises(UsageError, match=f"reads .*{N_IN}"):
        online_eprop(case.layer, case.readout, case.x[:, :, 1:], loss_at(case))


def test_the_loss_of_a_piece_is_that_of_its_steps() -> None:
    """Control: a loss that takes every piece for the first one is another loss."""
    case = make("lif", EProp(), "random", steps=STEPS, x_learns=False)
    wrong = online_eprop(
        case.layer, case.readout, case.x, lambda y, first: 0.5 * (y - case.target[:, : y.shape[1]]).square().sum()
    )
    off = relative(case.gradients(wrong.loss)["w_out"], online(case)["w_out"])
    assert off > WRONG
