"""The kernels in Triton against those in plain torch: on a GPU where there is one, else in Triton's interpreter, which
wants a process that knows of it from the start."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels import dispatch, events, reference
from repro.eprop.kernels.eligibility_vectors import carry
from tests.oracle.conftest import relative

INTERPRETED, ON_GPU = os.environ.get("TRITON_INTERPRET") == "1", torch.cuda.is_available()
DEVICE = "cpu" if INTERPRETED else "cuda"
WRONG = 1e-3
NUMBERS: Any = 0.93, 0.97, 0.6, 3, 0.3  # alpha, rho, v_th, refractory steps, dampening

if INTERPRETED or ON_GPU:
    from repro.eprop.kernels.triton_cuda import launch

ELSEWHERE = (
    "no GPU here; Triton's interpreter is chosen before Triton is imported: a test below starts a process with it"
)
runs_kernels = pytest.mark.skipif(not (INTERPRETED or ON_GPU), reason=ELSEWHERE)
wants_gpu = pytest.mark.skipif(INTERPRETED or not ON_GPU, reason="torch finds no GPU here")


def network(n: int, batch: int, steps: int, dtype: torch.dtype, adapts: bool) -> list[Any]:
    """What lif_forward reads: current [batch, time, neuron], w_rec, beta, and a state in the middle of something."""
    random = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    beta = 0.1 * draw(n).abs() if adapts else torch.empty(0)
    z = (draw(batch, n) > 1).double()
    state = 0.5 * draw(batch, n), draw(batch, n).abs(), z, 2 * z
    drawn = 0.4 * draw(batch, steps, n), draw(n, n) / n**0.5, beta, *state
    return [x.to(DEVICE, dtype) for x in drawn]


@pytest.mark.skipif(INTERPRETED or ON_GPU, reason="here the kernels themselves run")
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton here")
def test_without_a_gpu_the_kernels_run_in_the_interpreter() -> None:
    files = [__file__, str(Path(__file__).with_name("test_lstm_kernels.py"))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@runs_kernels
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("adapts", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_kernels_equal_the_fallback(
    monkeypatch: pytest.MonkeyPatch, many: bool, adapts: bool, dtype: torch.dtype, tolerance: float
) -> None:
    """Weights on chip and weights from memory; each kernel also with one number changed, which must be seen."""
    n, batch, steps = (200, 5, 80) if many else (20, 5, 80)
    if INTERPRETED:  # which is slow: the same paths with fewer neurons
        n, batch, steps = (7, 2, 5) if many else (5, 2, 5)
        monkeypatch.setattr(launch, "FEW_NEURONS", 5)
        monkeypatch.setattr(launch, "TILE", 32)
    arrays = network(n, batch, steps, dtype, adapts)
    z, h, v, *last, refractory, channel, start = launch.lif_forward(*[*arrays, *NUMBERS, True])
    wanted = reference.lif_forward(*arrays, *NUMBERS)
    assert 0.01 < float(wanted[0].mean()) < 0.5
    assert torch.equal(z, wanted[0])
    assert torch.equal(refractory, wanted[5])
    assert relative(h, wanted[1]) < tolerance
    assert relative(v, wanted[2]) < tolerance
    assert torch.equal(last[0], v[:, -1])
    assert not adapts or relative(last[1], wanted[4]) < tolerance
    assert channel.numel() == start.numel() == 0
    own = [arrays[0], torch.stack([k * arrays[1] for k in range(1, batch + 1)]), *arrays[2:]]  # weights of each trial
    each = launch.lif_forward(*[*own, *NUMBERS, False])[1]
    assert relative(each, reference.lif_forward(*[*own, *NUMBERS])[1]) < tolerance
    assert relative(each, h) > WRONG  # control: one of them for all
    alone = launch.lif_forward(*[arrays[0], arrays[1][:0, :0], *arrays[2:], *NUMBERS, False])
    assert alone[2].numel() == 0
    assert relative(alone[1], wanted[1]) > WRONG  # control: not recurrent
    signal = torch.sin(torch.arange(h.numel(), dtype=dtype, device=h.device)).reshape(h.shape)
    beta, w_rec = arrays[2], arrays[1]
    for name, before, after in (
        ("local_reverse", (h, signal, beta), (0.97,)),
        ("bptt_reverse", (h, signal, signal[:0], w_rec, beta), (0.97, 0.6)),
        ("bptt_reverse", (h, signal, signal.cos(), w_rec.expand(batch, n, n), beta), (0.97, 0.6)),
        ("exponential_filter", (signal,), (True,)),
    ):
        found, of = getattr(launch, name)(*before, 0.9, *after), getattr(reference, name)
        assert relative(found, of(*before, 0.9, *after)) < tolerance, name
        assert relative(found, of(*before, 0.91, *after)) > WRONG, name  # control: another decay


@runs_kernels
def test_any_layout_and_both_directions() -> None:
    """A signal that lies trial by trial, and a broadcast one."""
    signal = network(5, 2, 4, torch.float64, False)[0]
    for x in (signal, signal[:, :, :1].expand(-1, -1, 5)):
        for reverse in (False, True):
            wanted = reference.exponential_filter(x, 0.9, reverse)
            assert relative(launch.exponential_filter(x, 0.9, reverse), wanted) < 1e-12
            assert relative(launch.exponential_filter(x, 0.9, not reverse), wanted) > WRONG  # control


@runs_kernels
@pytest.mark.parametrize("trials", [1, 2], ids=["h of one trial", "h of each"])
def test_a_filtered_product_and_its_gradients(trials: int) -> None:
    signal, by_y = (x[:, :4] for x in network(5, 2, 8, torch.float64, False)[0].chunk(2, dim=1))
    h = signal[:trials].cos()
    wanted = reference.filtered_product(h, signal, 0.9), *reference.filtered_product_gradients(by_y, h, signal, 0.9)
    for decay in (0.9, 0.91):  # the second is the control
        results = launch.filtered_product(h, signal, decay), *launch.filtered_product_gradients(by_y, h, signal, decay)
        for one, two in zip(results, wanted, strict=True):
            assert one.shape == two.shape
            assert (relative(one, two) < 1e-12) == (decay == 0.9)


@runs_kernels
@pytest.mark.parametrize("steps", [1, 4])
def test_eligibility_vectors_are_carried_as_without_the_kernel(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where synapses fill one program, and a part of the next."""
    n, batch, n_pre = 3, 2, launch.SYNAPSES + 2
    random = torch.Generator().manual_seed(7)
    shapes = (batch, n), (steps, batch, 3, n), (steps, batch, n_pre), (batch, n)
    keep, rows, pre, left = (torch.randn(*s, generator=random, dtype=torch.float64).to(DEVICE) for s in shapes)
    before = torch.randn(n, batch, 3, n_pre, generator=random, dtype=torch.float64).to(DEVICE)
    found, wanted = before.clone(), before.clone()
    gradient = launch.carry(found, keep, rows, pre, left)
    monkeypatch.setattr(dispatch, "operators", lambda device: reference)
    assert relative(gradient, carry(wanted, keep, rows, pre, left)) < 1e-12
    assert relative(found, wanted) < 1e-12
    assert relative(found, before) > WRONG  # control: they have moved
    assert relative(launch.carry(before, keep, rows, pre, 1.01 * left), gradient) > WRONG  # control


@wants_gpu
def test_the_operators_on_a_gpu_are_those_on_the_cpu_and_the_same_twice() -> None:
    arrays = network(300, 4, 100, torch.float64, True)
    here = dispatch.operators("cpu").lif_forward(*(x.cpu() for x in arrays), *NUMBERS)
    z, h, *_ = dispatch.operators("cuda").lif_forward(*arrays, *NUMBERS, True)
    assert torch.equal(z.cpu(), here[0])
    assert relative(h.cpu(), here[1]) < 1e-11
    x = h.clone().requires_grad_()

    def everything() -> list[Tensor]:
        y = dispatch.exponential_filter(x, 0.9)
        delta = dispatch.operators("cuda").bptt_reverse(h, y.detach(), h[:0], *arrays[1:3], 0.9, 0.97, 0.6)
        return [
            *dispatch.operators("cuda").lif_forward(*arrays, *NUMBERS, True),
            delta,
            *torch.autograd.grad(y.square().sum(), x),
        ]

    assert all(torch.equal(one, other) for one, other in zip(everything(), everything(), strict=True))


@wants_gpu
def test_events_on_a_gpu_are_their_array() -> None:
    z = dispatch.operators("cuda").lif_forward(*network(40, 4, 100, torch.float64, True), *NUMBERS, False)[0]
    trains, weights = events.spike_trains(z), torch.ones(3, 40, dtype=z.dtype, device=z.device).cumsum(dim=1)
    assert torch.equal(events.linear(trains, weights), events.linear(z, weights))
    assert torch.equal(events.delayed_outer(z, trains, z[:, 0]), events.delayed_outer(z, z, z[:, 0]))
    assert relative(events.outer(z, trains), events.delayed_outer(z, z, z[:, 0])) > WRONG  # control: not delayed
