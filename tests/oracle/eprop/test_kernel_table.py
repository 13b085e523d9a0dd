"""The kernels of a device, and that all of them compute the same."""

from collections.abc import Iterator

import pytest
import torch

from repro.eprop import BPTT, EProp, Feedback, Rule
from repro.eprop.kernels import dispatch, reference
from tests.oracle.eprop.conftest import LOSSES, WRONG, assert_equal, make, relative


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REPRO_NUMBA", "0")
    dispatch.operators.cache_clear()
    yield
    monkeypatch.undo()
    dispatch.operators.cache_clear()


def test_a_device_without_kernels_has_those_in_plain_torch() -> None:
    table, compiled = dispatch.operators("xpu"), dispatch.operators("cpu")
    for name in reference.OPERATORS:
        assert getattr(table, name) is getattr(reference, name)
        assert getattr(compiled, name) is not getattr(reference, name), name


@pytest.mark.usefixtures("plain")
def test_the_environment_leaves_out_compiled_kernels() -> None:
    table = dispatch.operators("cpu")
    assert all(getattr(table, name) is getattr(reference, name) for name in reference.OPERATORS)


@pytest.mark.parametrize("rule", [BPTT(), EProp(), EProp(trace="truncated")])
@pytest.mark.parametrize("feedback", [Feedback(), Feedback("random", 7)])
@pytest.mark.parametrize("lengths", [None, torch.tensor([60, 0, 31])], ids=["whole", "ragged"])
def test_networks_are_equal_with_both(
    way: str, rule: Rule, feedback: Feedback, lengths: torch.Tensor | None, request: pytest.FixtureRequest
) -> None:
    case = make("alif", rule, feedback)
    y, z = case.forward(way, lengths=lengths)
    compiled = case.gradients(LOSSES["of_z_beside_y"](case, y, z)) | {"y": y, "z": z}
    request.getfixturevalue("plain")
    y, z = case.forward(way, lengths=lengths)
    assert_equal(case.gradients(LOSSES["of_z_beside_y"](case, y, z)) | {"y": y, "z": z}, compiled, 1e-12)
    case.layer.w_in.data *= 1.1
    assert relative(case.forward(way, lengths=lengths)[0], y) > WRONG  # control
