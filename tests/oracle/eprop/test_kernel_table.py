"""The kernels of a device, and that all of them compute the same."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from repro.eprop import BPTT, LIF, EProp, Feedback, RecurrentLayer, Rule
from repro.eprop.kernels import dispatch, reference
from repro.eprop.kernels.numba_cpu import compiled
from tests.oracle.eprop.conftest import LOSSES, WRONG, assert_equal, make, relative


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REPRO_NUMBA", "0")
    dispatch.operators.cache_clear()
    yield
    monkeypatch.undo()
    dispatch.operators.cache_clear()


def test_a_device_without_kernels_has_those_in_plain_torch() -> None:
    table, of_cpu = dispatch.operators("xpu"), dispatch.operators("cpu")
    for name in reference.OPERATORS:
        assert getattr(table, name) is getattr(reference, name)
        assert getattr(of_cpu, name) is not getattr(reference, name), name


def test_kernels_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> Any:
        raise ImportError("numba needs another numpy", name="numpy")

    monkeypatch.setattr(dispatch.importlib, "import_module", fails)
    with pytest.warns(UserWarning, match="the compiled kernels cannot be used, .*: numba needs another numpy"):
        assert dispatch._imported("repro.eprop.kernels.numba_cpu") is None
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "a_package", None)
    monkeypatch.setattr(dispatch, "COMPILERS", ("a_package",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dispatch._imported("a_package") is None  # control: what is not installed is no fault


def test_machine_code_is_kept_by_the_content_of_all_kernels(tmp_path: Path) -> None:
    """A kernel calls functions of other files."""
    folders = []
    for text in ("one", "another", "one"):
        (tmp_path / "few.py").write_text(text)
        folders.append(compiled.cache_folder(tmp_path))
    assert folders[0] == folders[2] != folders[1]
    assert compiled.cache_folder() == compiled.FOLDER and Path(compiled.FOLDER).name.startswith("repro-")


def test_machine_code_lies_there() -> None:
    layer = RecurrentLayer(LIF(), 5, 3)
    layer(torch.ones(1, 4, 5))
    assert list(Path(compiled.FOLDER).rglob("*.nbi"))


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
