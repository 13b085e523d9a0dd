"""What e-prop costs: floats that are kept as trials grow longer, operations a step as networks grow larger."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from repro.eprop.kernels.events import delayed
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.neuron import Trajectory
from repro.eprop.neurons.rate import Rate
from repro.eprop.rules.rate import RateTerm
from repro.eprop.rules.synapses import AnySynapses
from repro.network import RecurrentNetwork
from repro.readout import Readout
from repro.rules.online import online_eprop
from repro.rules.signals import BroadcastSignal
from repro.training.seeds import generator
from tasks.theory.config import TheoryConfig
from tasks.theory.spiking import INPUT_RATE

STEPS = 4  # of the counted simulation; what a step costs depends on none of it
PRODUCTS = ("mm", "mv", "bmm")


class Tally(TorchDispatchMode):
    """What torch does inside `with`: multiplications and other operations on single numbers (`operations`), and the
    largest number of bytes that were held at a time of what was made inside (`peak`).

    A product of matrices counts its inner length for every number that it gives, everything else one; views are free.
    Compiled kernels count what they return.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.held = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Let torch do it, and count."""
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
    found: dict[str, float] = {}
    for name, measured in {"online": online_bytes, "online_bptt": unrolled_bytes}.items():
        short, long = (
            measured(config, steps, seed) for steps in (config.online_steps, config.growth * config.online_steps)
        )
        found[f"{name}_growth"] = long / short
    return found


def lif_network(config: TheoryConfig, steps: int, seed: int) -> tuple[RecurrentNetwork, Tensor]:
    """LIF neurons with one readout, and one trial of inputs [1, step, input]."""
    random = generator(seed, "theory", "online")
    neuron = LIF(config.tau_m_ms, config.v_th, config.refractory_ms, config.dampening)
    network = RecurrentNetwork(
        neuron, Readout(config.tau_out_ms, True), config.n_in, config.online_n, 1, random
    ).double()
    return network, (torch.rand(1, steps, config.n_in, generator=random) < INPUT_RATE).double()


def online_bytes(config: TheoryConfig, steps: int, seed: int) -> int:
    """Peak bytes of e-prop 1 run forward in time; its inputs are there before, its readout [step] is kept."""
    network, inputs = lif_network(config, steps, seed)
    with Tally() as tally:
        online_eprop(
            network,
            inputs,
            lambda readout, first: readout - 1,
            BroadcastSignal("symmetric"),
            torch.empty(0),
            RateTerm("sum_hz", 0.0, 10.0),
            watch=0,
        )
    return tally.peak


def unrolled_bytes(config: TheoryConfig, steps: int, seed: int) -> int:
    """Peak bytes of BPTT on autograd's tape."""
    network, inputs = lif_network(config, steps, seed)
    with Tally() as tally:
        z, _ = network.unroll(inputs)
        (network.read_out(z) - 1).square().sum().backward()
    return tally.peak


def cost(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Exponents of the growth with n of a step's operations: simulation, eligibility traces, and RTRL (in networks of a
    quarter of the size)."""
    sizes = config.counted_low * 2 ** np.arange(config.doublings + 1)
    found = {}
    for name, (work, part) in {"simulation": (simulate, 1), "traces": (traces, 1), "rtrl": (rtrl, 4)}.items():
        operations = [operations_of(work, config, int(n) // part, seed) for n in sizes]
        found[f"cost_{name}"] = float(np.polyfit(np.log(sizes), np.log(operations), 1)[0])
    return found


def operations_of(work: Callable[..., Tensor], config: TheoryConfig, n: int, seed: int) -> int:
    """Operations of `work` on what n rate neurons did in a few steps."""
    random = generator(seed, "theory", "cost")
    network = RecurrentNetwork(
        Rate(0.9), Readout(config.tau_out_ms, True), config.n_in, n, config.n_out, random
    ).double()
    inputs = torch.randn(1, STEPS, config.n_in, generator=random, dtype=torch.float64)
    trajectory, _ = network.simulate(inputs)
    with torch.no_grad(), Tally() as tally:
        work(network, inputs, trajectory, torch.ones_like(trajectory.z))
    return tally.operations


def simulate(network: RecurrentNetwork, inputs: Tensor, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """The network itself, without derivatives."""
    return network.unroll(inputs)[0]


def traces(network: RecurrentNetwork, inputs: Tensor, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """sum_t L e [neuron, neuron] by eligibility traces of all recurrent synapses (Eq. 2, 3)."""
    synapses = AnySynapses(len(inputs), network.n_rec, network.n_rec, inputs, network.neuron)
    synapses.advance(trajectory, signal, delayed(trajectory.z, trajectory.before.z), 0.0)
    return synapses.gradient


def rtrl(network: RecurrentNetwork, inputs: Tensor, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """The gradient [neuron, neuron] of one trial by real-time recurrent learning (Williams and Zipser 1989).

    ds_k/dtheta_ji of all k, j, i goes forward with the Jacobian of the whole network; neurons have one variable.

    `signal` is dE/dz through the readout alone, [1, step, neuron].
    """
    local, n = network.neuron.local(trajectory), network.n_rec
    sent = delayed(trajectory.z, trajectory.before.z)[0]
    before = torch.zeros_like(trajectory.z[0, 0])  # dz/ds one step ago
    influence = inputs.new_zeros(n, n * n)
    gradient = inputs.new_zeros(n * n)
    for t, presynaptic in enumerate(sent):
        jacobian = network.recurrent_weights() * before + torch.diag(local.d[0, t, :, 0, 0])
        influence = jacobian @ influence
        influence.view(n, n, n).diagonal(dim1=0, dim2=1).add_(presynaptic[:, None])
        before = local.output[0, t, :, 0]
        gradient += (signal[0, t] * before) @ influence
    return gradient.view(n, n).fill_diagonal_(0)
