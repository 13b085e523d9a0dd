"""Small networks in float64 in which no two time constants are equal, and what layers are compared with.

Nothing here uses the kernels or the rules: dynamics, filters and traces are written out step by step.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from repro.eprop import ALIF, BPTT, LIF, Feedback, Neuron, Rate, Readout, RecurrentLayer, Rule, SpikingNetwork
from repro.eprop.neurons.neuron import Variables

EXACT, WRONG = 1e-11, 1e-3
TAU_M_MS, TAU_OUT_MS, TAU_A_MS, V_TH, REFRACTORY, GAMMA, BETA = 15.0, 40.0, 90.0, 0.6, 3, 0.3, 0.1
ALPHA, KAPPA, RHO = (math.exp(-1 / tau) for tau in (TAU_M_MS, TAU_OUT_MS, TAU_A_MS))
N_IN, N, N_OUT, N_ADAPTIVE = 5, 12, 2, 7


class Heaviside(torch.autograd.Function):
    """z = H(v - A), and the triangle as its derivative; independent of the library's."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(v, threshold)
        return torch.where(v > threshold, 1.0, 0.0).to(v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        v, threshold = ctx.saved_tensors
        h = GAMMA / V_TH * (1 - ((v - threshold) / V_TH).abs()).relu()
        return grads[0] * h, -grads[0] * h


@dataclasses.dataclass(frozen=True)
class Own(Neuron):
    """A spiking neuron of the user's: a voltage and a slow current that excite and inhibit each other."""

    names: ClassVar[tuple[str, ...]] = ("v", "w")

    @property
    def refractory_steps(self) -> int:
        return 2

    def update(self, variables: Variables, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Variables:
        v, w = variables
        return 0.9 * v - 0.15 * w + current - 0.5 * z_prev, 0.8 * w + 0.1 * v + 0.3 * z_prev_local

    def output(self, variables: Variables) -> Tensor:
        v, w = variables
        return Heaviside.apply(v, V_TH + 0.2 * w)


@dataclasses.dataclass(frozen=True)
class NoReset(Neuron):
    """A voltage without reset, refractory period or threshold that adapts."""

    names: ClassVar[tuple[str, ...]] = ("v",)

    def update(self, variables: Variables, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Variables:
        return (0.85 * variables[0] + current,)

    def output(self, variables: Variables) -> Tensor:
        return Heaviside.apply(variables[0], torch.tensor(V_TH).to(variables[0]))


NEURONS: dict[str, Neuron] = {
    "lif": LIF(TAU_M_MS, V_TH, REFRACTORY, GAMMA),
    "alif": ALIF(TAU_M_MS, V_TH, REFRACTORY, GAMMA, BETA, TAU_A_MS, N_ADAPTIVE),
    "rate": Rate(0.8),
    "own": Own(),
}


class Case(NamedTuple):
    """A layer, its readout, inputs [batch, time, input], targets [batch, time, readout] and labels [batch]."""

    layer: RecurrentLayer
    readout: Readout
    x: Tensor
    target: Tensor
    label: Tensor

    @property
    def network(self) -> SpikingNetwork:
        return SpikingNetwork(self.layer, self.readout)

    def forward(self, way: str, **options: Any) -> tuple[Tensor, Tensor]:
        """y and z of the layers, one after the other ("two") or as one operation ("pair")."""
        if way == "pair":
            return self.network(self.x, **options)
        z = self.layer(self.x, **options)
        return self.readout(z, **{k: v for k, v in options.items() if k == "lengths"}), z

    @property
    def weights(self) -> dict[str, Tensor]:
        named = {"w_in": self.layer.w_in, "w_rec": self.layer.w_rec, "w_out": self.readout.w_out}
        return {k: v for k, v in (named | {"b_out": self.readout.b_out, "x": self.x}).items() if v is not None}

    def gradients(self, loss: Tensor, **options: Any) -> dict[str, Tensor]:
        """Of all weights and of x."""
        wanted = {name: tensor for name, tensor in self.weights.items() if tensor.requires_grad}
        return dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values()), **options), strict=True))


def make(
    neuron: str | Neuron = "lif",
    rule: Rule | None = None,
    feedback: Feedback | str = "symmetric",
    *,
    steps: int = 60,
    dtype: torch.dtype = torch.float64,
    recurrent: bool = True,
    bias: bool = True,
    frame_steps: int = 1,
    x_learns: bool = True,
) -> Case:
    """Three trials of 12 neurons, 5 inputs and 2 readouts."""
    random = torch.Generator().manual_seed(11)
    unit = NEURONS[neuron] if isinstance(neuron, str) else neuron
    layer = RecurrentLayer(unit, N_IN, N, recurrent=recurrent, rule=rule or BPTT(), generator=random).to(dtype)
    options = {"one_minus_kappa": True, "bias": bias, "frame_steps": frame_steps, "generator": random}
    readout = Readout(N, N_OUT, TAU_OUT_MS, feedback=feedback, **options).to(dtype)
    if readout.b_out is not None:
        readout.b_out.data = torch.tensor([0.3, -0.2], dtype=dtype)
    x = (torch.rand(3, steps, N_IN, generator=random) < 0.15).to(dtype).requires_grad_(x_learns)
    target = torch.randn(3, steps // frame_steps, N_OUT, generator=random, dtype=torch.float64).to(dtype)
    case = Case(layer, readout, x, target, torch.tensor([1, 0, 1]))
    trajectory, _ = layer.simulate(x)
    assert 0.01 < trajectory.z.mean() < 0.7, "the oracle's network is not alive"
    assert (trajectory.h > 0).double().mean() > 0.1
    return case


@pytest.fixture(params=NEURONS)
def neuron(request: pytest.FixtureRequest) -> str:
    """Every kind of neuron."""
    return request.param


@pytest.fixture(params=["two", "pair"])
def way(request: pytest.FixtureRequest) -> str:
    """Two layers one after the other, and both as one operation."""
    return request.param


def read(readout: Readout, z: Tensor, before: Tensor | None = None, feedback: Tensor | None = None) -> Tensor:
    """Eq. 41 step by step; with `feedback` B [neuron, readout] errors reach z through it and not through w_out."""
    kappa = math.exp(-1 / readout.tau_out_ms)
    drive = z @ readout.w_out.T
    if feedback is not None:
        drive = z.detach() @ readout.w_out.T + (z - z.detach()) @ feedback
    if readout.frame_steps > 1:
        drive = torch.stack([frame.mean(dim=1) for frame in drive.split(readout.frame_steps, dim=1)], dim=1)
    y, series = torch.zeros_like(drive[:, 0]) if before is None else before, []
    for step in drive.unbind(dim=1):
        y = kappa * y + readout.scale * step
        series.append(y)
    stacked = torch.stack(series, dim=1)
    return stacked if readout.b_out is None else stacked + readout.b_out


def unrolled(case: Case, detach: bool = False, feedback: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """y and z on autograd's tape, step by step. `detach` cuts recurrence and reset: what e-prop leaves out."""
    z, _ = case.layer.unroll(case.x, detach, detach)
    return read(case.readout, z, feedback=feedback), z


def relative(found: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest entry."""
    found, wanted = found.detach().double(), wanted.detach().double()
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-300))


def assert_equal(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = EXACT) -> None:
    """All gradients of the same names are equal."""
    assert found.keys() == wanted.keys()
    off = {name: relative(found[name], wanted[name]) for name in wanted}
    assert max(off.values()) < tolerance, off
    assert all(bool(torch.isfinite(x).all()) and bool(x.any()) for x in found.values())


def assert_differ(found: dict[str, Tensor], wrong: dict[str, Tensor], *names: str) -> None:
    """The named gradients differ by more than any rounding: the comparison can fail."""
    off = {name: relative(found[name], wrong[name]) for name in names}
    assert min(off.values()) > WRONG, off


def of_layer(loss: Tensor, layer: RecurrentLayer) -> dict[str, Tensor]:
    """The gradients of a layer's weights."""
    by_in, by_rec = torch.autograd.grad(loss, [layer.w_in, layer.w_rec])
    return {"w_in": by_in, "w_rec": by_rec}


LOSSES: dict[str, Callable[[Case, Tensor, Tensor], Tensor]] = {
    "cross_entropy_of_the_mean": lambda c, y, z: torch.nn.functional.cross_entropy(y.mean(dim=1), c.label),
    "squared_error": lambda c, y, z: 0.5 * (y - c.target).square().sum(),
    "of_z_beside_y": lambda c, y, z: (y - c.target).square().mean() + (z * wave(z)).mean(),
    "two_terms": lambda c, y, z: y.abs().mean() + (z.mean(dim=(0, 1)) - 0.1).square().sum(),
}


def wave(like: Tensor) -> Tensor:
    """Numbers that differ everywhere."""
    return torch.sin(torch.arange(like.numel(), dtype=like.dtype)).reshape(like.shape)


class Written(NamedTuple):
    """What neurons do, step by step off the tape: outputs, pseudo-derivatives, voltages [batch, time, neuron]."""

    z: Tensor
    h: Tensor
    v: Tensor


@torch.no_grad()
def written(layer: RecurrentLayer, x: Tensor) -> Written:
    """Eq. 20, 21, 25, 26 with the refractory period, in plain loops over time; for LIF and ALIF."""
    beta = adaptation(layer)
    v = a = z = torch.zeros(x.shape[0], layer.n, dtype=x.dtype)
    silent, rows = torch.zeros_like(v), []
    for step in x.unbind(dim=1):
        v = ALPHA * v + step @ layer.w_in.T - V_TH * z
        if layer.w_rec is not None:
            v = v + z @ layer.w_rec.T
        a, silent = RHO * a + z, torch.where(z > 0, REFRACTORY - 1, (silent - 1).clamp(min=0))
        threshold, free = V_TH + beta * a, silent == 0
        z = (free & (v > threshold)).to(x.dtype)
        h = free * GAMMA / V_TH * (1 - ((v - threshold) / V_TH).abs()).clamp(min=0)
        rows.append((z, h, v))
    return Written(*(torch.stack(series, dim=1) for series in zip(*rows, strict=True)))


def adaptation(layer: RecurrentLayer) -> Tensor:
    """beta [neuron]: of the last neurons of ALIF."""
    adapts = torch.arange(layer.n) >= layer.n - N_ADAPTIVE
    return BETA * adapts.double() if isinstance(layer.neuron, ALIF) else torch.zeros(layer.n).double()


@torch.no_grad()
def printed(layer: RecurrentLayer, x: Tensor, signal: Tensor) -> dict[str, Tensor]:
    """sum_t L_j^t e_ji^t, e by the forward recursions of Eq. 22, 27 and 28; of w_in and w_rec."""
    z, h, _ = written(layer, x)
    beta = adaptation(layer)[:, None]
    found = {}
    for name, pre in {"w_in": x, "w_rec": torch.nn.functional.pad(z, (0, 0, 1, -1))}.items():
        z_hat = torch.zeros_like(pre[:, 0])
        vector = torch.zeros(x.shape[0], layer.n, pre.shape[2], dtype=x.dtype)
        total = torch.zeros(layer.n, pre.shape[2], dtype=x.dtype)
        for t in range(x.shape[1]):
            z_hat = ALPHA * z_hat + pre[:, t]
            h_t = h[:, t, :, None]
            e = h_t * (z_hat[:, None] - beta * vector)
            vector = h_t * z_hat[:, None] + (RHO - h_t * beta) * vector
            total += (signal[:, t, :, None] * e).sum(dim=0)
        found[name] = total
    found["w_rec"].fill_diagonal_(0)
    return found
