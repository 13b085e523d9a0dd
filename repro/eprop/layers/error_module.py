"""Error modules, which make learning signals of what may be known without knowing errors, and learning from one trial
with them (e-prop 2; Eq. 7, 58, 59)."""

import abc
from collections.abc import Callable

import torch
from torch import Tensor, nn

from repro.eprop.kernels.dispatch import exponential_filter
from repro.eprop.layers.differentiable import DifferentiableLayer, check_precision
from repro.eprop.neurons.differentiable import (
    DifferentiableInput,
    DifferentiableTrajectory,
    check_differentiable,
    linear,
    simulate,
)
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.rules.one_shot import ErrorModuleInput, ErrorModuleOutput, OneShot, eprop_update, run_trial


class ErrorModule(nn.Module, abc.ABC):
    """Learning signals for the neurons of a layer; a subclass defines `forward`."""

    @abc.abstractmethod
    def forward(self, received: ErrorModuleInput) -> ErrorModuleOutput:
        """One trial, from rest; on the tape for the parameters and for the layer's outputs."""

    def zeta(self, received: ErrorModuleInput) -> Tensor:
        """Its own outputs in `forward` alone, for a trial in which nothing is learned."""
        return self(received).zeta


class SpikingErrorModule(ErrorModule):
    """A recurrent network of `n` neurons, all to all without autapses, with leaky readouts (Eq. 58).

    For a layer with `n_in` inputs and `n_neurons` neurons, and targets with `n_features`. `w_in` [module neuron,
    input + neuron + feature], `w_rec` [module neuron, module neuron], `w_out` [neuron, module neuron], drawn from
    N(0, 1) over the root of the number of presynaptic cells; `decay` is alpha_e, a step. Raises UsageError for neurons
    that a `DifferentiableLayer` refuses, and in `forward` for weights that are neither float32 nor float64.
    """

    def __init__(
        self,
        neuron: IntegrateAndFire,
        n_in: int,
        n_neurons: int,
        n_features: int,
        n: int,
        *,
        decay: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_differentiable(neuron)
        self.neuron, self.decay, n_pre = neuron, decay, n_in + n_neurons + n_features
        self.w_in = nn.Parameter(torch.randn(n, n_pre, generator=generator) / n_pre**0.5)
        self.w_rec = nn.Parameter((torch.randn(n, n, generator=generator) / n**0.5).fill_diagonal_(0))
        self.w_out = nn.Parameter(torch.randn(n_neurons, n, generator=generator) / n**0.5)

    def forward(self, received: ErrorModuleInput) -> ErrorModuleOutput:
        """See `ErrorModule.forward`."""
        trajectory = self._trajectory(received)
        with torch.autocast(received.target.device.type, enabled=False):
            signal = exponential_filter(linear(trajectory, self.w_out), self.decay)
        return ErrorModuleOutput(signal, trajectory.z)

    def zeta(self, received: ErrorModuleInput) -> Tensor:
        """See `ErrorModule.zeta`."""
        return self._trajectory(received).z

    def _trajectory(self, received: ErrorModuleInput) -> DifferentiableTrajectory:
        check_precision(self, *self.parameters())
        n_in, n_neurons = received.inputs.shape[2], received.trajectory.shape[2]
        by_input, by_spikes, by_target = self.w_in.tensor_split((n_in, n_in + n_neurons), dim=1)
        with torch.autocast(received.target.device.type, enabled=False):
            current = linear(received.inputs, by_input) + linear(received.trajectory, by_spikes)
            current = current + linear(received.target, by_target)
            return simulate(self.neuron, current, self.w_rec)


class LinearErrorModule(ErrorModule):
    """A linear map of the same, spikes filtered by alpha_e (section "Linear error module").

    `w_in` [neuron, input], `w_rec` [neuron, neuron] and `w_target` [neuron, feature] are Phi^x, Phi^z and Phi^y of the
    text, drawn from N(0, 1) over the root of the number of all presynaptic cells; `decay` is alpha_e, a step. Raises
    UsageError in `forward` for weights that are neither float32 nor float64.
    """

    def __init__(
        self, n_in: int, n_neurons: int, n_features: int, *, decay: float, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.decay, n_pre = decay, n_in + n_neurons + n_features
        self.w_in = nn.Parameter(torch.randn(n_neurons, n_in, generator=generator) / n_pre**0.5)
        self.w_rec = nn.Parameter(torch.randn(n_neurons, n_neurons, generator=generator) / n_pre**0.5)
        self.w_target = nn.Parameter(torch.randn(n_neurons, n_features, generator=generator) / n_pre**0.5)

    def forward(self, received: ErrorModuleInput) -> ErrorModuleOutput:
        """See `ErrorModule.forward`."""
        check_precision(self, *self.parameters())
        with torch.autocast(received.target.device.type, enabled=False):
            spikes = linear(received.inputs, self.w_in) + linear(received.trajectory, self.w_rec)
            signal = exponential_filter(spikes, self.decay) + linear(received.target, self.w_target)
        return ErrorModuleOutput(signal, self.zeta(received))

    def zeta(self, received: ErrorModuleInput) -> Tensor:
        """It has no neurons."""
        return received.trajectory.z[:, :, :0]


def one_shot(
    layer: DifferentiableLayer,
    readout: Callable[[Tensor], Tensor],
    error_module: Callable[[ErrorModuleInput], ErrorModuleOutput],
    inputs: DifferentiableInput,
    target: Tensor,
    inner_learning_rate: float | Tensor,
    trace: str = "full",
) -> OneShot:
    """The inner loop of e-prop 2: a training trial, one update (Eq. 7), a test trial with the same inputs.

    `inputs` are x [batch, time, input], `target` is y* [batch, time, feature], `inner_learning_rate` eta; `readout`
    maps z [batch, time, neuron] to y and is not updated; `trace` as in `eprop_update`. Each trial of the batch is a
    task: its test trial has weights of its own. The result is on the tape for the parameters of all three.

    Where x is the same in all tasks, give it once, [1, time, input]: before the update the layer does the same in all
    of them, and is simulated once. The result's `training` is then of one trial.
    """
    training = run_trial(layer, readout, inputs)
    output = error_module(ErrorModuleInput(inputs, training.trajectory, target))
    weights = eprop_update(
        layer.weights, inputs, training.trajectory, output.signal, layer.neuron, inner_learning_rate, trace
    )
    return OneShot(training, output, weights, run_trial(layer, readout, inputs, weights))
