"""e-prop 2: a network learns from one trial, by learning signals from a trained error module (Eq. 7, 58, 59).

Everything here is on autograd's tape: the outer loop differentiates through both trials and the update between them.
"""

import abc
from typing import NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.kernels.dispatch import exponential_filter
from repro.eprop.kernels.events import Spikes, linear
from repro.eprop.neurons import differentiable
from repro.eprop.neurons.differentiable import DifferentiableTrajectory
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.network import RecurrentNetwork


class Heard(NamedTuple):
    """All that an error module hears of a trial, xi = (x, z, y*): the network's inputs and outputs, and the target.

    Neither what the readout says nor what came of it is among these: no error can be computed from them.
    """

    inputs: Spikes  # x [batch, time, input]
    activity: DifferentiableTrajectory  # of the network: z [batch, time, neuron]; its h is not listened to
    target: Tensor  # y* [batch, time, feature]


class Taught(NamedTuple):
    """What an error module did in a trial: learning signals L-hat [batch, time, neuron of the network], and its own
    outputs zeta [batch, time, neuron of the module] (of no neurons for a linear one)."""

    signal: Tensor
    spikes: Tensor


class ErrorModule(nn.Module, abc.ABC):
    """Learning signals for a network, from what may be known without knowing its errors."""

    @abc.abstractmethod
    def forward(self, heard: Heard) -> Taught:
        """One trial, from rest."""


class SpikingErrorModule(ErrorModule):
    """A recurrent network of its own, all to all without autapses (Eq. 58).

    `w_in` [module neuron, input + neuron + feature], `w_rec` [module neuron, module neuron], `w_out`
    [neuron, module neuron], drawn from N(0, 1) over the root of the number of presynaptic cells. `decay` is alpha_e.
    """

    def __init__(
        self, neuron: IntegrateAndFire, n_heard: int, n: int, n_taught: int, decay: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.neuron, self.decay = neuron, decay
        self.w_in = nn.Parameter(torch.randn(n, n_heard, generator=generator) / n_heard**0.5)
        self.w_rec = nn.Parameter((torch.randn(n, n, generator=generator) / n**0.5).fill_diagonal_(0))
        self.w_out = nn.Parameter(torch.randn(n_taught, n, generator=generator) / n**0.5)

    def forward(self, heard: Heard) -> Taught:
        """See `ErrorModule.forward`."""
        n_in, n = heard.inputs.shape[2], heard.activity.z.shape[2]
        by_input, by_spikes, by_target = self.w_in.tensor_split((n_in, n_in + n), dim=1)
        drive = linear(heard.inputs, by_input) + differentiable.linear(heard.activity, by_spikes)
        drive = drive + linear(heard.target, by_target)
        own = differentiable.simulate(self.neuron, drive, without_autapses(self.w_rec))
        return Taught(exponential_filter(differentiable.linear(own, self.w_out), self.decay, reverse=False), own.z)


class LinearErrorModule(ErrorModule):
    """A linear map of the same, spikes filtered (Linear error module).

    `w_in`, `w_rec` and `w_target` are Phi^x, Phi^z and Phi^y of the text, [neuron, presynaptic]; `decay` is alpha_e.
    """

    def __init__(self, n_in: int, n_features: int, n_taught: int, decay: float, generator: torch.Generator) -> None:
        super().__init__()
        self.decay, heard = decay, n_in + n_taught + n_features
        self.w_in = nn.Parameter(torch.randn(n_taught, n_in, generator=generator) / heard**0.5)
        self.w_rec = nn.Parameter(torch.randn(n_taught, n_taught, generator=generator) / heard**0.5)
        self.w_target = nn.Parameter(torch.randn(n_taught, n_features, generator=generator) / heard**0.5)

    def forward(self, heard: Heard) -> Taught:
        """See `ErrorModule.forward`."""
        spikes = linear(heard.inputs, self.w_in) + differentiable.linear(heard.activity, self.w_rec)
        signal = exponential_filter(spikes, self.decay, reverse=False) + linear(heard.target, self.w_target)
        return Taught(signal, heard.activity.z[:, :, :0])


class Weights(NamedTuple):
    """Input and recurrent weights of a network: of all trials [post, pre], or of each [batch, post, pre]."""

    w_in: Tensor
    w_rec: Tensor


class Trial(NamedTuple):
    """What a network did, and its readouts [batch, time, readout]."""

    activity: DifferentiableTrajectory
    readout: Tensor


class OneShot(NamedTuple):
    """A training trial with the signals that taught it, and the test trial after one update."""

    training: Trial
    taught: Taught
    weights: Weights
    test: Trial


def one_shot(
    network: RecurrentNetwork, module: ErrorModule, inputs: Spikes, target: Tensor, rate: float, trace: str = "full"
) -> OneShot:
    """The inner loop: a training trial, one update (Eq. 7), a test trial with the same `inputs` [batch, time, input].

    `target` is y* [batch, time, feature], `rate` eta, `trace` as in `updated`. Each trial of the batch is a task of its
    own; the readout's weights stay.
    """
    assert network.w_rec is not None
    weights = Weights(network.w_in, without_autapses(network.w_rec))
    training = run(network, weights, inputs)
    taught = module(Heard(inputs, training.activity, target))
    learned = updated(network, weights, inputs, training, taught.signal, rate, trace)
    return OneShot(training, taught, learned, run(network, learned, inputs))


def run(network: RecurrentNetwork, weights: Weights, inputs: Spikes) -> Trial:
    """A trial from rest, with weights of all trials or of each."""
    drive = linear(inputs, weights.w_in) if weights.w_in.ndim == 2 else differentiable.linear_each(inputs, weights.w_in)
    assert isinstance(network.neuron, IntegrateAndFire)
    activity = differentiable.simulate(network.neuron, drive, weights.w_rec)
    return Trial(activity, network.read_out(activity.z))


def updated(
    network: RecurrentNetwork, weights: Weights, inputs: Spikes, trial: Trial, signal: Tensor, rate: float, trace: str
) -> Weights:
    """theta - eta sum_t L-hat_j^t h_j^t z-hat_i^(t-1) (Eq. 7, 59), weights of each trial [batch, post, pre].

    `trace` is "full", or "truncated": e_ji^t = h_j^t z_i^(t-1), the presynaptic trace without its past. The filter of
    Eq. 22 is moved to the postsynaptic side, so that what is summed over time is spikes.
    """
    assert isinstance(network.neuron, IntegrateAndFire)
    post = signal * trial.activity.h
    if trace == "full":
        post = exponential_filter(post, network.neuron.alpha, reverse=True)
    moved_in = differentiable.synaptic_sum(post, inputs)
    moved_rec = without_autapses(differentiable.synaptic_sum(post, trial.activity))
    return Weights(weights.w_in - rate * moved_in, weights.w_rec - rate * moved_rec)


def without_autapses(w_rec: Tensor) -> Tensor:
    """The same [..., post, pre] with a diagonal of zeros."""
    return w_rec - torch.diag_embed(torch.diagonal(w_rec, dim1=-2, dim2=-1))
