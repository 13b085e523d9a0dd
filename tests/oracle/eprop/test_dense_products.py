"""Products and readouts by oneDNN or by what torch calls itself, and where each is used."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels import products
from tests.oracle.eprop.lstm_tape import draw, relative

WRONG = 1e-3
CONTROL = 1.001  # a product that is a little off


@pytest.fixture(params=["as it comes", "without oneDNN"], autouse=True)
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    products._onednn.cache_clear()
    if request.param == "without oneDNN":
        monkeypatch.setenv("REPRO_ONEDNN", "0")
        assert products.matrix_library() != "oneDNN"
        products._onednn.cache_clear()  # a test may have an environment of its own
    yield
    products._onednn.cache_clear()


def layouts(x: Tensor) -> list[Tensor]:
    """The same matrix, by rows, by columns, and as a part of a larger one."""
    return [x, x.T.contiguous().T, torch.cat([x, x], dim=1)[:, : x.shape[1]]]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_a_product_is_the_sum_over_the_inner_index(dtype: torch.dtype, tolerance: float) -> None:
    a, b = draw(5, 70), draw(70, 9, seed=1)
    wanted = (a[:, :, None] * b).sum(dim=1)
    for left in layouts(a.to(dtype)):
        for right in layouts(b.to(dtype)):
            result = products.product(left, right)
            assert result.dtype == dtype
            assert relative(result.double(), wanted) < tolerance
            assert relative(CONTROL * result.double(), wanted) > tolerance  # control
            shifted = products.product(left, right, wanted[0].to(dtype))
            assert relative(shifted.double(), wanted + wanted[0]) < tolerance
    assert products.product(a[:0].to(dtype), b.to(dtype)).shape == (0, 9)


def test_onednn_receives_whole_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    """It multiplies parts of larger ones, but takes a thousand times as long."""
    received: list[Tensor] = []

    def operator(a: Tensor, b: Tensor, bias: Tensor | None, *rest: object) -> Tensor:
        received.append(b)
        return torch.nn.functional.linear(a, b, bias)

    monkeypatch.delenv("REPRO_ONEDNN", raising=False)
    monkeypatch.setattr(products, "_leaves_avx512_unused", lambda: True)
    monkeypatch.setattr(torch.ops, "mkldnn", type("Operators", (), {"_linear_pointwise": staticmethod(operator)}))
    large, a = draw(12, 12).float(), draw(5, 7).float()
    for b in (large[:7, :9], large.T[:7, :9]):
        assert not b.is_contiguous() and not b.T.is_contiguous()
        result = products.product(a, b)
        assert received[-1].is_contiguous() or received[-1].T.is_contiguous()
        assert torch.equal(received[-1], b.T)
        assert relative(result, a @ b) < 1e-6
    assert len(received) == 3  # control: the probe's product, and these


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_a_linear_readout_is_torchs(dtype: torch.dtype, tolerance: float) -> None:
    for weight in layouts(draw(11, 7, seed=2).to(dtype))[:2]:
        given = [draw(6, 7).to(dtype), weight, draw(11, seed=3).to(dtype)]
        results = []
        for function in (products.linear, torch.nn.functional.linear):
            leaves = [tensor.detach().requires_grad_() for tensor in given]
            y = function(*leaves)
            results.append([y, *torch.autograd.grad(y.sin().sum(), leaves)])
        for mine, theirs in zip(*results, strict=True):
            assert relative(mine, theirs) < tolerance
            assert relative(CONTROL * mine, theirs) > tolerance  # control
    (once,) = torch.autograd.grad(products.linear(*leaves).square().sum(), leaves[:1], create_graph=True)
    with pytest.raises(UsageError, match="cannot be differentiated again"):
        once.sum().backward()


@pytest.mark.parametrize("vendor", ["AuthenticAMD", "GenuineIntel"])
@pytest.mark.parametrize("capability", ["AVX512", "AVX2"])
def test_onednn_is_used_where_mkl_leaves_avx512_unused(
    vendor: str, capability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPRO_ONEDNN", raising=False)
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {vendor}\n")
    monkeypatch.setattr(products, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    wanted = (vendor, capability) == ("AuthenticAMD", "AVX512")
    assert (products.matrix_library() == "oneDNN") == (wanted and torch.backends.mkldnn.is_available())


def test_which_library_it_is_depends_on_nothing_of_the_user_s() -> None:
    alone = products.matrix_library()
    products._onednn.cache_clear()
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert products.matrix_library() == alone
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("broken", ["is not there", "is wrong"])
def test_an_operator_that_is_not_as_expected_is_not_used(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_leaves_avx512_unused", lambda: True)
    operators = (
        {} if broken == "is not there" else {"_linear_pointwise": lambda a, b, bias, *rest: CONTROL * (a @ b.T + bias)}
    )
    monkeypatch.setattr(torch.ops, "mkldnn", type("Operators", (), operators))
    assert products.matrix_library() != "oneDNN"
