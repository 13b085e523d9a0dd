"""Learning rules: from what a network did and what each neuron heard to gradients of its weights."""

import abc
import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from repro.eprop.kernels.events import Inputs, delayed_outer, outer
from repro.eprop.neurons.neuron import Trajectory
from repro.eprop.rules.traces import Trace
from repro.errors import UserError
from repro.network import RecurrentNetwork
from repro.rules.signals import BroadcastSignal
from repro.runs.rule_settings import RuleSettings

Gradients = dict[str, Tensor]  # parameter name of the network -> gradient, shaped like the parameter


class LearningRule(abc.ABC):
    """A rule for the input and recurrent weights; the readout always learns by its own gradient (Eq. 48)."""

    exact: ClassVar[bool]  # whether the result is the gradient (of the network with pseudo-derivatives)
    plastic: ClassVar[bool] = True  # whether input and recurrent weights change at all
    signal: BroadcastSignal

    @property
    def reads_variables(self) -> bool:
        """Whether it reads the neurons' variables, or only z and h."""
        return False

    @abc.abstractmethod
    def delta(self, network: RecurrentNetwork, trajectory: Trajectory, signal: Tensor) -> Tensor:
        """What multiplies the *raw* presynaptic activity; like the signal, [batch, time, neuron]."""

    def gradients(self, network: RecurrentNetwork, inputs: Inputs, trajectory: Trajectory, signal: Tensor) -> Gradients:
        """The gradient of every input and recurrent weight, summed over `inputs` [batch, time, input]."""
        delta = self.delta(network, trajectory, signal.to(trajectory.h.dtype))
        found = {"w_in": outer(delta, inputs)}
        if network.w_rec is not None:
            found["w_rec"] = delayed_outer(delta, trajectory.spikes, trajectory.before.z).fill_diagonal_(0)
        return found


@dataclasses.dataclass(frozen=True)
class EProp(LearningRule):
    """e-prop 1, factored: sum_t L_j^t e_ji^t (Eq. 43) with the order of summation exchanged.

    What Eq. 2 carries forward in time with the presynaptic activity is carried back with the learning signal, so that
    no array of [neuron, neuron] is kept over time. Exact for a network without recurrence and reset, else approximate.
    """

    trace: Trace
    signal: BroadcastSignal
    exact: ClassVar[bool] = False

    @property
    def reads_variables(self) -> bool:
        """Whether it reads the neurons' variables."""
        return self.trace.kind == "clopath"

    def delta(self, network: RecurrentNetwork, trajectory: Trajectory, signal: Tensor) -> Tensor:
        """The reverse recursion through each neuron's own variables only."""
        return self.trace.delta(trajectory, network.neuron, signal)


@dataclasses.dataclass(frozen=True)
class BPTT(LearningRule):
    """Backpropagation through time as one reverse recursion (Eq. 13-15), reset and recurrence attached."""

    signal: BroadcastSignal = dataclasses.field(default_factory=lambda: BroadcastSignal("symmetric"))
    exact: ClassVar[bool] = True

    def delta(self, network: RecurrentNetwork, trajectory: Trajectory, signal: Tensor) -> Tensor:
        """The reverse recursion through the whole network."""
        return network.neuron.bptt_delta(trajectory, signal, network.recurrent_weights())


@dataclasses.dataclass(frozen=True)
class ReadoutOnly(LearningRule):
    """Input and recurrent weights stay as they were drawn (Fig. 2c)."""

    signal: BroadcastSignal = dataclasses.field(default_factory=lambda: BroadcastSignal("symmetric"))
    exact: ClassVar[bool] = False
    plastic: ClassVar[bool] = False

    def delta(self, network: RecurrentNetwork, trajectory: Trajectory, signal: Tensor) -> Tensor:
        """Nothing."""
        return torch.zeros_like(signal)


def build_rule(settings: RuleSettings, dt_ms: float = 1.0) -> LearningRule:
    """The rule that the settings describe. Raises UserError for a combination that has no meaning."""
    if settings.algorithm != "eprop":
        if settings.trace != "full" or settings.feedback_window_ms or settings.evaluator != "factored":
            raise UserError(
                f"algorithm={settings.algorithm} has no eligibility trace: leave trace, evaluator and "
                "feedback_window_ms alone"
            )
        return ReadoutOnly() if settings.algorithm == "readout_only" else BPTT()
    if settings.feedback_window_ms and settings.feedback != "random":
        raise UserError(f"feedback_window_ms resamples random feedback; feedback={settings.feedback} has none")
    if settings.evaluator == "online" and settings.trace != "full":
        raise UserError(f"evaluator=online keeps the full eligibility trace; for trace={settings.trace} use factored")
    if settings.evaluator == "online" and settings.feedback_time == "slice":
        raise UserError("evaluator=online cannot know later errors: feedback_time=slice needs evaluator=factored")
    window = round(settings.feedback_window_ms / dt_ms)
    by_slice, unit_variance = settings.feedback_time == "slice", settings.feedback_variance == "one"
    signal = BroadcastSignal(settings.feedback, window, by_slice, unit_variance)
    return EProp(Trace(settings.trace, settings.clopath_thresholds, settings.clopath_rectified), signal)
