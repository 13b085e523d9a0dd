"""Costs of e-prop: floats kept against the length of a trial, operations per step against the size of a network."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from repro.eprop.kernels.events import delayed
from repro.eprop.layers.online import online_eprop
from repro.eprop.layers.readout import Readout
from repro.eprop.layers.recurrent import RecurrentLayer
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.neuron import Trajectory
from repro.eprop.neurons.rate import Rate
from repro.eprop.rules.rule import EProp
from repro.eprop.rules.synapses import AnySynapses
from repro.runs.seeds import generator
from tasks.theory.config import TheoryConfig
from tasks.theory.spiking import INPUT_RATE, network

STEPS = 4  # of the counted simulation; what a step costs depends on none of it
PRODUCTS = ("mm", "mv", "bmm")


class Tally(TorchDispatchMode):
    """Counts torch's work inside `with`: multiplications and other operations on single numbers (`operations`), and the
    largest number of bytes that were held at a time of what was made inside (`peak`).

    A product of matrices counts its inner length for every number of its result, everything else one; views are free.
    Compiled kernels count what they return.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.held = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function and count its operations."""
        result = func(*args, **(kwargs or {}))
        inner = args[0].shape[-1] if func.overloadpacket.__name__ in PRODUCTS else 1
        for tensor in tree_leaves(result) if not func.is_view else ():
            if isinstance(tensor, Tensor):
                self.operations += tensor.numel() * inner
                self._hold(tensor.untyped_storage())
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.held -= size


def online(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Peak bytes of a trial `growth` times as long over those of the shorter one: e-prop 1 run online, and BPTT by
    autograd through the unrolled network."""
    growth: dict[str, float] = {}
    for name, measured in {"online": online_bytes, "online_bptt": unrolled_bytes}.items():
        short, long = (
            measured(config, steps, seed) for steps in (config.online_steps, config.growth * config.online_steps)
        )
        growth[f"{name}_growth"] = long / short
    return growth


def lif_network(config: TheoryConfig, steps: int, seed: int) -> tuple[RecurrentLayer, Readout, Tensor]:
    """LIF neurons with one readout, and one trial of inputs [1, step, input]."""
    random = generator(seed, "theory", "online")
    neuron = LIF(config.tau_m_ms, config.v_th, config.refractory_ms, config.dampening)
    layer, readout = network(neuron, config, config.online_n, 1, random)
    return layer, readout, (torch.rand(1, steps, config.n_in, generator=random) < INPUT_RATE).double()


def online_bytes(config: TheoryConfig, steps: int, seed: int) -> int:
    """Peak bytes of e-prop 1 run forward in time; its inputs are there before, its readout [step] is kept."""
    layer, readout, inputs = lif_network(config, steps, seed)
    layer.rule = EProp()
    with Tally() as tally:
        online_eprop(layer, readout, inputs, lambda y, first: 0.5 * (y - 1).square().sum(), watch=0)
    return tally.peak


def unrolled_bytes(config: TheoryConfig, steps: int, seed: int) -> int:
    """Peak bytes of BPTT on autograd's tape."""
    layer, readout, inputs = lif_network(config, steps, seed)
    with Tally() as tally:
        z, _ = layer.unroll(inputs)
        (readout(z) - 1).square().sum().backward()
    return tally.peak


def cost(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Exponents of the growth with n of a step's operations: simulation, eligibility traces, and RTRL (in networks of a
    quarter of the size)."""
    sizes = config.counted_low * 2 ** np.arange(config.doublings + 1)
    exponents = {}
    for name, (work, part) in {"simulation": (simulate, 1), "traces": (traces, 1), "rtrl": (rtrl, 4)}.items():
        operations = [operations_of(work, config, int(n) // part, seed) for n in sizes]
        exponents[f"cost_{name}"] = float(np.polyfit(np.log(sizes), np.log(operations), 1)[0])
    return exponents


def operations_of(work: Callable[..., Tensor], config: TheoryConfig, n: int, seed: int) -> int:
    """Operations of `work` on what n rate neurons did in a few steps."""
    random = generator(seed, "theory", "cost")
    layer, _ = network(Rate(0.9), config, n, config.n_out, random)
    inputs = torch.randn(1, STEPS, config.n_in, generator=random, dtype=torch.float64)
    trajectory, _ = layer.simulate(inputs)
    with torch.no_grad(), Tally() as tally:
        work(layer, inputs, trajectory, torch.ones_like(trajectory.z))
    return tally.operations


def simulate(layer: RecurrentLayer, inputs: Tensor, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """The network itself, without derivatives."""
    return layer.unroll(inputs)[0]


def traces(layer: RecurrentLayer, inputs: Tensor, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """sum_t L e [neuron, neuron] by eligibility traces of all recurrent synapses (Eq. 2, 3)."""
    synapses = AnySynapses(len(inputs), layer.n, layer.n, inputs, layer.neuron)
    synapses.advance(trajectory, signal, delayed(trajectory.z, trajectory.before.z), 0.0)
    return synapses.gradient


def rtrl(layer: RecurrentLayer, inputs: Tensor, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """The gradient [neuron, neuron] of one trial by real-time recurrent learning (Williams and Zipser 1989).

    ds_k/dtheta_ji of all k, j, i goes forward with the Jacobian of the whole network; neurons have one variable.

    `signal` is dE/dz through the readout alone, [1, step, neuron].
    """
    local, n, (_, w_rec) = layer.neuron.local(trajectory), layer.n, layer.weights()
    z_prev = delayed(trajectory.z, trajectory.before.z)[0]
    before = torch.zeros_like(trajectory.z[0, 0])  # dz/ds one step ago
    influence = inputs.new_zeros(n, n * n)
    gradient = inputs.new_zeros(n * n)
    for t, presynaptic in enumerate(z_prev):
        jacobian = w_rec * before + torch.diag(local.d[0, t, :, 0, 0])
        influence = jacobian @ influence
        influence.view(n, n, n).diagonal(dim1=0, dim2=1).add_(presynaptic[:, None])
        before = local.output[0, t, :, 0]
        gradient += (signal[0, t] * before) @ influence
    return gradient.view(n, n).fill_diagonal_(0)
