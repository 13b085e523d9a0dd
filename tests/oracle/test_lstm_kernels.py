"""The kernels of an LSTM step and of a softmax against the same in plain torch and float64: on the CPU by numba; in
Triton on a GPU where there is one, else in its interpreter, which `tests.oracle.test_gpu_kernels` starts."""

from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels import dispatch, reference
from repro.eprop.neurons.lstm import LSTM
from repro.eprop.rules import windows
from repro.eprop.rules.rule import WindowRule
from tests.oracle.conftest import relative
from tests.oracle.test_gpu_kernels import DEVICE, ELSEWHERE, INTERPRETED, ON_GPU

WRONG = 1e-3
BATCH, N = 5, 67  # in Triton one program, and a part of the next
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-6}
PRECISION = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
NEURONS = pytest.mark.parametrize("neuron", [LSTM(), LSTM(squash=True, forget_bias=0.7)], ids=str)


@pytest.fixture(params=["cpu", "triton"])
def kernels(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """The operators, and where their tensors lie."""
    if request.param == "cpu":
        return dispatch.operators("cpu"), "cpu"
    if not (INTERPRETED or ON_GPU):
        pytest.skip(ELSEWHERE)
    from repro.eprop.kernels.triton_cuda import launch

    return launch, DEVICE


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def step(kernels: tuple[Any, str], neuron: LSTM, currents: Tensor, c: Tensor) -> list[Tensor]:
    """c, h and the Jacobians, in float64."""
    (operators, device), batch, n = kernels, *c.shape
    shapes = (batch, n), (batch, n), (batch, n), (batch, 3, n), (batch, n), (batch, n)
    written = [torch.full(shape, torch.nan, dtype=c.dtype, device=device) for shape in shapes]
    operators.lstm_step(neuron, currents.clone().to(device), c.to(device), *written)
    return [array.cpu().double() for array in written]


@NEURONS
@PRECISION
def test_a_step_is_the_units_own(kernels: tuple[Any, str], neuron: LSTM, dtype: torch.dtype) -> None:
    """Also of gates that are open or shut."""
    currents, c = 2 * draw(BATCH, 4 * N), draw(BATCH, N, seed=1)
    currents[0, ::2] *= 50
    state, local = neuron.step(c, currents)
    wanted = (*state, *local)
    other, _ = neuron.step(1.001 * c, currents)
    results = step(kernels, neuron, currents.to(dtype), c.to(dtype))
    for result, right in zip(results, wanted, strict=True):
        assert relative(result, right) < TOLERANCES[dtype]
    assert relative(results[0], other.c) > WRONG / 2  # control


@PRECISION
def test_a_step_keeps_nan(kernels: tuple[Any, str], dtype: torch.dtype) -> None:
    currents, c = draw(BATCH, 4 * N).to(dtype), draw(BATCH, N, seed=1).to(dtype)
    currents[1, [0, N + 1, 2 * N + 2, 3 * N + 3]] = torch.nan
    _, h, *_ = step(kernels, LSTM(squash=True), currents, c)
    assert h[1, :4].isnan().all()
    assert h.isnan().sum() == 4  # control


@pytest.mark.parametrize("later", [False, True], ids=["errors alone", "later steps too"])
@PRECISION
def test_a_step_in_reverse_is_autograds(kernels: tuple[Any, str], dtype: torch.dtype, later: bool) -> None:
    """dE/dI and dE/dc of a step, with dE/dh and dE/dc given."""
    (operators, device), neuron = kernels, LSTM(squash=True, forget_bias=0.7)
    currents, c = draw(BATCH, 4 * N).requires_grad_(), draw(BATCH, N, seed=1).requires_grad_()
    d_h, from_later, own = draw(BATCH, N, seed=2), draw(BATCH, N, seed=3), draw(BATCH, N, seed=4)
    state, local = neuron.step(c, currents)
    signal = d_h + from_later if later else d_h
    wanted = torch.autograd.grad([state.h, state.c], [c, currents], [signal, own], retain_graph=True)
    other = torch.autograd.grad([state.h, state.c], [c, currents], [signal, 1.01 * own])
    jacobians = [x.detach().to(device, dtype) for x in local]
    own_cell, d_cell = own.clone().to(device, dtype), torch.empty(BATCH, N, dtype=dtype, device=device)
    d_current = torch.empty(BATCH, 4, N, dtype=dtype, device=device)
    given = d_h.to(device, dtype), from_later.to(device, dtype) if later else None, jacobians
    operators.lstm_step_reverse(*given, own_cell, d_cell, d_current)
    results = own_cell.cpu().double(), d_current.flatten(start_dim=1).cpu().double()
    for result, right, wrong in zip(results, wanted, other, strict=True):
        assert relative(result, right) < TOLERANCES[dtype]
        assert relative(result, wrong) > WRONG  # control
    assert relative(d_cell.cpu().double(), signal * local.output.detach() + own) < TOLERANCES[dtype]


@NEURONS
@pytest.mark.parametrize("kind", [("none", True), ("none", False), ("truncated", True)], ids=str)
def test_a_window_is_the_one_in_plain_torch(
    kernels: tuple[Any, str], neuron: LSTM, kind: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    operators, device = kernels
    weights = windows.LSTMWeights(draw(4 * N, 3).to(device), draw(4 * N, N).to(device) / N**0.5, draw(4 * N).to(device))
    x, state = draw(BATCH, 3, 3).to(device), windows.LSTMState(draw(BATCH, N).to(device), draw(BATCH, N).to(device))
    boundary = windows.BoundaryGradient(draw(BATCH, N, seed=5).to(device), draw(BATCH, N, seed=6).to(device))
    results = []
    for table in (operators, reference):
        monkeypatch.setattr(dispatch, "operators", lambda device, table=table: table)
        made = windows.forward_window(neuron, weights, x, state)
        back = windows.backward_window(weights.w_rec, made.jacobians, made.h.cos(), boundary, WindowRule(*kind))
        results.append([made.h, *made.state_after, *back])
    for mine, theirs in zip(*results, strict=True):
        assert relative(mine, theirs) < 1e-12
    assert relative(results[0][3][1:], results[1][3][:-1]) > WRONG  # control: another step


@PRECISION
def test_the_cross_entropy_of_a_softmax_is_autograds(dtype: torch.dtype) -> None:
    """Also of words that are nearly certain, or have nearly no probability."""
    logits, target = (3 * draw(7, 1003)).requires_grad_(), torch.arange(7) * 11
    with torch.no_grad():
        logits[1, 11] += 30
        logits[2, 22] -= 200
    nats = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    (wanted,) = torch.autograd.grad(nats.sum(), logits)
    given = logits.detach().to(dtype)
    for x in (given, given.T.contiguous().T):
        result, error = dispatch.operators("cpu").cross_entropy(x, target)
        assert relative(result, nats.detach()) < TOLERANCES[dtype]
        assert relative(error, wanted) < TOLERANCES[dtype]
        assert relative(error, wanted.roll(1, dims=1)) > WRONG  # control
    assert relative(reference.cross_entropy(given, target)[1], wanted) < TOLERANCES[dtype]
    given[3, 4] = torch.nan
    assert dispatch.operators("cpu").cross_entropy(given, target)[0].isnan().tolist() == [k == 3 for k in range(7)]
