"""The learning rules: each turns a learning signal into gradients of the weights of a recurrent layer.

The learning signal of a neuron is dE/dz_j^t with later outputs held fixed. It is what a layer's backward pass receives,
whatever made it: a symmetric readout, a random feedback matrix, another layer, any loss.
"""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from repro.eprop.errors import UsageError, shown
from repro.eprop.neurons.neuron import Neuron, Trajectory
from repro.eprop.rules.traces import FULL, KINDS, Trace


class WindowRule(NamedTuple):
    """What a rule means for an LSTM layer: whether eligibility vectors are "carried" on, begin anew in every call
    ("none": BPTT inside it), or have no past even inside it ("truncated"); whether the learning signal follows the
    recurrent weights."""

    vectors: str
    recurrence: bool


@dataclasses.dataclass(frozen=True)
class Rule(abc.ABC):
    """A rule for the input and recurrent weights of a layer; a frozen dataclass of plain values.

    A rule of your own defines `delta`; it is saved in checkpoints by its name and values. A forward pass keeps the rule
    that its layer had then.
    """

    exact: ClassVar[bool] = False  # whether the result is the gradient (of the network with pseudo-derivatives)
    plastic: ClassVar[bool] = True  # whether the weights learn
    by_name: ClassVar[dict[str, type["Rule"]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        """Remember the rule by its name, for checkpoints. Raises UsageError where another rule has that name."""
        super().__init_subclass__(**options)
        other = Rule.by_name.get(cls.__name__)
        if other is not None and other.__module__ != cls.__module__:
            raise UsageError(f"{other.__module__} has a rule {cls.__name__} already: give yours another name")
        Rule.by_name[cls.__name__] = cls

    @property
    def keeps_variables(self) -> bool:
        """Whether the forward pass has to keep the neurons' variables, such as voltages.

        A rule that reads `trajectory.variables` has `keeps_variables = True` in its class.
        """
        return False

    @abc.abstractmethod
    def delta(self, neuron: Neuron, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """What multiplies the *raw* presynaptic activity x_i^t, z_i^(t-1) in the gradient of each weight.

        `signal` is the learning signal [batch, time, neuron]; `w_rec` [post, pre], of no elements without recurrence.
        Returns [batch, time, neuron].
        """

    def input_delta(self, delta: Tensor) -> Tensor:
        """dE/dI of every neuron and step [batch, time, neuron], from which the gradient of the inputs is made; `delta`
        is what the method of that name returned.

        Raises UsageError where the rule defines none.
        """
        return delta

    def window_rule(self) -> WindowRule:
        """What the rule means for an LSTM layer. Raises UsageError where it means nothing."""
        raise UsageError(f"{self} is not defined for LSTM layers: give them BPTT(), EProp(), EProp3() or Frozen()")

    def state(self) -> dict[str, Any]:
        """The rule as plain values, for a checkpoint."""
        return {"rule": type(self).__name__} | dataclasses.asdict(self)

    @staticmethod
    def from_state(state: dict[str, Any]) -> "Rule":
        """The rule of `state()`. Raises UsageError where no rule of that name is defined, or its values differ."""
        values = dict(state)
        name = values.pop("rule", None)
        if name not in Rule.by_name:
            raise UsageError(
                f"the checkpoint has the rule {name!r}, which is not defined here: import it before loading"
            )
        try:
            return Rule.by_name[name](**values)
        except TypeError as error:
            raise UsageError(f"the checkpoint's values of the rule {name} do not fit it: {error}") from None


@dataclasses.dataclass(frozen=True)
class EProp(Rule):
    """sum_t L_j^t e_ji^t (Eq. 43): approximate, since the learning signal does not follow recurrence and reset.

    With random feedback in the readout it is e-prop 1. It is exact for a network without recurrence and reset. `trace`
    is one of "full", "truncated", "presynaptic", "clopath", or a `Trace`. For an LSTM layer the vectors are those of
    Eq. 37. Evaluated in factored form: what Eq. 2 carries forward in time with the presynaptic activity is carried back
    with the learning signal, so that no array [neuron, neuron] is kept over time.
    """

    trace: Any = FULL

    def __post_init__(self) -> None:
        """Accept a trace by its name, and the plain values of a checkpoint."""
        object.__setattr__(self, "trace", _trace(self.trace))

    def __repr__(self) -> str:
        return _written(self)

    @property
    def keeps_variables(self) -> bool:
        """See `Rule.keeps_variables`."""
        return self.trace.keeps_variables

    def delta(self, neuron: Neuron, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """The reverse recursion through each neuron's own variables only."""
        return self.trace.delta(trajectory, neuron, signal)

    def input_delta(self, delta: Tensor) -> Tensor:
        """See `Rule.input_delta`."""
        if not self.trace.differentiates:
            raise UsageError(
                f"EProp(trace={self.trace.kind!r}) defines no gradient of the layer's input: detach the input, "
                "or use trace='full'"
            )
        return delta

    def window_rule(self) -> WindowRule:
        """See `Rule.window_rule`."""
        return WindowRule(_vectors(self, self.trace), recurrence=False)


@dataclasses.dataclass(frozen=True)
class EProp3(Rule):
    """BPTT inside a window, plus what happened before it through eligibility vectors (Eq. 69); LSTM layers only.

    With a synthetic gradient at the right edge it is e-prop 3; with a zero boundary, "truncated BPTT + eligibility
    traces". Exact with ideal boundaries (Eq. 70). `trace` is "full" or "truncated".
    """

    trace: Any = FULL

    def __post_init__(self) -> None:
        """Accept a trace by its name, and the plain values of a checkpoint."""
        object.__setattr__(self, "trace", _trace(self.trace))

    def __repr__(self) -> str:
        return _written(self)

    def delta(self, neuron: Neuron, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """Raises UsageError: spiking layers learn whole sequences."""
        raise UsageError("EProp3() learns in windows, of LSTM layers: give a RecurrentLayer EProp() or BPTT()")

    def window_rule(self) -> WindowRule:
        """See `Rule.window_rule`."""
        return WindowRule(_vectors(self, self.trace), recurrence=True)


@dataclasses.dataclass(frozen=True)
class BPTT(Rule):
    """Backpropagation through time as one reverse recursion (Eq. 13-15), reset and recurrence attached.

    Exact, if the learning signal is (symmetric feedback).
    """

    exact: ClassVar[bool] = True

    def delta(self, neuron: Neuron, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """The reverse recursion through the whole network."""
        return neuron.bptt_delta(trajectory, signal, w_rec)

    def window_rule(self) -> WindowRule:
        """See `Rule.window_rule`."""
        return WindowRule("none", recurrence=True)


@dataclasses.dataclass(frozen=True)
class Frozen(Rule):
    """Input and recurrent weights stay as they are (Fig. 2c, readout only); inputs still receive BPTT's gradient."""

    plastic: ClassVar[bool] = False

    def delta(self, neuron: Neuron, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """BPTT's, for the inputs."""
        return neuron.bptt_delta(trajectory, signal, w_rec)

    def window_rule(self) -> WindowRule:
        """See `Rule.window_rule`."""
        return WindowRule("none", recurrence=True)


def _trace(trace: "Trace | str | dict[str, Any]") -> Trace:
    if isinstance(trace, Trace):
        return trace
    if not isinstance(trace, str | dict):
        raise UsageError(f"trace={shown(trace)}: it is one of {', '.join(KINDS)}, or a Trace")
    return Trace(trace) if isinstance(trace, str) else Trace(**trace)


def _written(rule: "EProp | EProp3") -> str:
    """A trace by its kind where that is all there is to it."""
    trace = rule.trace.kind if rule.trace == Trace(rule.trace.kind) else rule.trace
    return f"{type(rule).__name__}({'' if trace == 'full' else repr(trace)})"


def _vectors(rule: Rule, trace: Trace) -> str:
    if trace.kind not in ("full", "truncated"):
        raise UsageError(
            f"{type(rule).__name__}(trace={trace.kind!r}) is not defined for LSTM layers: use full or truncated"
        )
    return "carried" if trace.kind == "full" else "truncated"
