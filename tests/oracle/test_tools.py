"""The shared checks themselves: what they let pass, and what they stop."""

import pytest
import torch

from tests.oracle.tools import assert_gradients_differ, assert_model_is_live

ONE = {"w_in": torch.tensor([1.0, -2.0]), "w_rec": torch.tensor([4.0, 0.0])}
BOTH = {"w_in": torch.tensor([1.0, -2.2]), "w_rec": torch.tensor([4.0, 0.4])}  # a tenth of the largest entry of ONE
FIRST = BOTH | {"w_rec": ONE["w_rec"]}


def test_gradients_differ_where_each_of_them_does() -> None:
    assert_gradients_differ(BOTH, ONE, 0.09)
    assert_gradients_differ(FIRST, ONE, 0.09, ["w_in"])
    with pytest.raises(AssertionError, match="w_rec differ by 0 of"):
        assert_gradients_differ(FIRST, ONE, 0.09)
    with pytest.raises(AssertionError, match="w_in differ by 0.1 of the largest entry, not 0.11"):
        assert_gradients_differ(BOTH, ONE, 0.11)


def test_gradients_that_are_missing_zero_or_not_finite_are_no_control() -> None:
    with pytest.raises(AssertionError, match="w_rec is missing"):
        assert_gradients_differ({"w_in": ONE["w_in"]}, BOTH, 0.09)
    with pytest.raises(AssertionError, match="no gradients"):
        assert_gradients_differ({}, {}, 0.09)
    with pytest.raises(AssertionError, match="w_in is zero"):
        assert_gradients_differ(ONE, {"w_in": torch.zeros(2)}, 0.09, ["w_in"])
    with pytest.raises(AssertionError, match="w_in is not finite"):
        assert_gradients_differ({"w_in": torch.tensor([torch.nan, 0.0])}, ONE, 0.09, ["w_in"])


SPIKES = torch.zeros(2, 50, 4)
SPIKES[:, ::5] = 1
WAVE = torch.sin(torch.arange(50.0))[None, :, None].expand(2, 50, 4)


def test_a_live_network_passes() -> None:
    assert_model_is_live(SPIKES, slopes=SPIKES, gradients=ONE)
    assert_model_is_live(WAVE, bound=1.0)


@pytest.mark.parametrize(
    ("outputs", "bound", "sentence"),
    [
        (torch.zeros(2, 50, 4), None, "a spike in 0 of all steps"),
        (torch.ones(2, 50, 4), None, "a spike in 1 of all steps"),
        (SPIKES * torch.tensor([1.0, 0.0, 0.0, 0.0]), None, "only 25% of its neurons"),
        (torch.full((2, 50, 4), torch.nan), 1.0, "not finite"),
        (torch.full((2, 50, 4), 0.3), 1.0, "do not vary"),
        (WAVE.sign(), 1.0, "saturated"),
    ],
)
def test_a_network_that_is_silent_or_saturated_does_not(
    outputs: torch.Tensor, bound: float | None, sentence: str
) -> None:
    with pytest.raises(AssertionError, match=sentence):
        assert_model_is_live(outputs, bound=bound)


def test_a_network_without_slopes_or_gradients_does_not() -> None:
    with pytest.raises(AssertionError, match="pseudo-derivatives are zero in 100%"):
        assert_model_is_live(SPIKES, slopes=torch.zeros(2, 50, 4))
    with pytest.raises(AssertionError, match="gradient of w_in is zero"):
        assert_model_is_live(SPIKES, gradients={"w_in": torch.zeros(3)})
