"""A recurrent layer of neurons: forward x -> z; its backward pass is the layer's learning rule."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError, check_whole
from repro.eprop.kernels import events
from repro.eprop.kernels.events import Held, Inputs
from repro.eprop.kernels.first_order import first_order
from repro.eprop.kernels.padding import cheapest, check_lengths, mask_, remember
from repro.eprop.layers.checks import check_neuron, check_state, checked
from repro.eprop.layers.rule_layer import RuleLayer, full_precision
from repro.eprop.neurons.neuron import Neuron, NeuronState, Trajectory, Variables, state_before
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Rule


class RecurrentLayer(RuleLayer):
    """Neurons of one model, all to all without autapses, with a delay of one step (Eq. 20).

    Weights are [post, pre]: `w_in` [neuron, input], `w_rec` [neuron, neuron] (None if not `recurrent`), drawn from
    N(0, 1) over the root of the number of presynaptic cells (Bellec et al. 2018b) with `generator`, or torch's own.
    Inputs act in the step in which they arrive (Eq. 11), outputs of the layer one step later.

    The backward pass receives dE/dz with later outputs held fixed: this is the learning signal, whatever made it. The
    `rule` turns it into gradients: `BPTT()` (the default, as in any torch layer), `EProp()`, `Frozen()` or your own.
    """

    def __init__(
        self,
        neuron: Neuron,
        n_in: int,
        n: int,
        *,
        recurrent: bool = True,
        rule: Rule | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(BPTT())
        check_neuron(neuron)
        check_whole("RecurrentLayer", n_in=n_in, n=n)
        neuron.check_population(n)
        self.neuron, self.n_in, self.n = neuron, n_in, n
        self.rule = BPTT() if rule is None else rule
        self.w_in = nn.Parameter(torch.randn(n, n_in, generator=generator) / n_in**0.5)
        w_rec = (torch.randn(n, n, generator=generator) / n**0.5).fill_diagonal_(0)
        self.w_rec = nn.Parameter(w_rec) if recurrent else None

    def check_rule(self, rule: Rule) -> None:
        """Raises UsageError for a rule that is not defined for spiking layers, or not for this neuron."""
        if isinstance(rule, EProp3):
            raise UsageError(f"{rule} learns in windows, of LSTM layers: give a RecurrentLayer EProp() or BPTT()")
        if isinstance(rule, EProp) and hasattr(self, "neuron"):
            rule.trace.check_neuron(self.neuron)

    def extra_repr(self) -> str:
        """The line that print(module) shows."""
        return f"{self.neuron}, n_in={self.n_in}, n={self.n}, recurrent={self.w_rec is not None}, rule={self.rule}"

    @torch.compiler.disable
    def forward(
        self,
        x: Inputs,
        state: NeuronState | None = None,
        lengths: Tensor | None = None,
        return_state: bool = False,
    ) -> Any:
        """Outputs z [batch, time, neuron] of inputs x [batch, time, input], and the state after them if `return_state`.

        `x` is an array, or spikes as events (`SpikeTrains`), or frames that are held (`Held`). `state` is that before
        the first step, rest if None; it is constant for the backward pass, and the state returned is detached.
        `lengths` [batch] in steps: z is zero beyond them, and no gradient comes from there; the state returned is that
        after all steps, padding included. Half precision of x is widened. Raises UsageError for shapes, precisions or
        lengths that do not fit, and NotFiniteError where the neurons' variables end as NaN or infinite.
        """
        check_inputs(self, x, state, lengths)
        passed = Pass(self, x, state, lengths)
        z: Tensor = _Recurrent.apply(passed, tensor_of(x), self.w_in, self.w_rec)
        remember(z, passed.trajectory().events, lengths)
        return (z, passed.after) if return_state else z

    def weights(self) -> tuple[Tensor, Tensor]:
        """w_in and w_rec for the kernels: see `kernel_weights`."""
        return kernel_weights(self.w_in, self.w_rec)

    @torch.no_grad()
    def simulate(
        self,
        x: Inputs,
        state: NeuronState | None = None,
        keep_variables: bool = True,
        weights: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Trajectory, NeuronState]:
        """The trajectory of the whole sequence off autograd's tape, and the state after it.

        The trajectory has the neurons' variables if `keep_variables`. `weights` are the layer's own if None.
        """
        w_in, w_rec = weights or self.weights()
        with torch.autocast(x.device.type, enabled=False):
            before = state_before(self.neuron, state, x.shape[0], self.n, w_in)
            current = events.linear(cheapest(x) if isinstance(x, Tensor) else x, w_in)
            return self.neuron.simulate(current, w_rec, before, keep_variables)

    def unroll(
        self, x: Inputs, detach_recurrence: bool = False, detach_reset: bool = False
    ) -> tuple[Tensor, Variables]:
        """Step by step on autograd's tape, whatever the rule: the reference. Returns z and the neurons' variables,
        [batch, time, neuron].

        `detach_recurrence` cuts the effect of an output on other neurons, `detach_reset` that on its own reset.
        """
        dense = x if isinstance(x, Tensor) else x.dense(self.w_in.dtype)
        state, states = self.neuron.initial_state(dense.shape[0], self.n, self.w_in), []
        w_rec = None if self.w_rec is None else self.w_rec - torch.diag(torch.diag(self.w_rec))
        # Not a slice a step: in the backward pass each would fill an array as long as the trial.
        for current in nn.functional.linear(dense, self.w_in).unbind(dim=1):
            if w_rec is not None:
                current = current + (state.z.detach() if detach_recurrence else state.z) @ w_rec.T
            state = self.neuron.step(state, current, detach_reset)
            states.append(state)
        variables = tuple(torch.stack(x, dim=1) for x in zip(*(s.variables for s in states), strict=True))
        return torch.stack([s.z for s in states], dim=1), variables


class LayerGradients(NamedTuple):
    """Gradients of a layer: of x (an array, or frames that are held), w_in, w_rec; None where there is none."""

    x: Tensor | None
    w_in: Tensor | None
    w_rec: Tensor | None


class Pass:
    """One forward pass of a layer, and what its backward pass needs of it.

    The outputs z are kept apart from the rest: they belong to autograd, and z -> backward pass -> z would be a cycle
    that is never freed.
    """

    def __init__(self, layer: RecurrentLayer, x: Inputs, state: NeuronState | None, lengths: Tensor | None) -> None:
        self.layer, self.rule, self.x, self.state, self.lengths = layer, layer.rule, x, state, lengths
        self.after: NeuronState | None = None
        self._without_z: Trajectory | None = None

    def forward(self, w_in: Tensor, w_rec: Tensor | None) -> Tensor:
        """Simulate; returns z [batch, time, neuron], zero beyond the lengths."""
        weights = kernel_weights(w_in, w_rec)
        return self.keep(*self.layer.simulate(self.x, self.state, self.rule.keeps_variables, weights))

    def keep(self, trajectory: Trajectory, after: NeuronState) -> Tensor:
        """Keep what the backward pass needs of a simulation; returns z [batch, time, neuron], zero beyond the lengths.

        Raises NotFiniteError where the state after it is not finite.
        """
        after.check_finite()
        self.after = after._replace(z=after.z.clone())
        self._without_z = trajectory._replace(z=trajectory.h)
        return mask_(trajectory.z, self.lengths)

    def trajectory(self, z: Tensor | None = None) -> Trajectory:
        """The trajectory, with `z` if it is given."""
        assert self._without_z is not None
        return self._without_z if z is None else self._without_z._replace(z=z)

    def backward(self, z: Tensor, signal: Tensor, w_in: Tensor, w_rec: Tensor | None, wants_x: bool) -> LayerGradients:
        """The rule's gradients, from the learning signal [batch, time, neuron], whose padding is zero, and the weights
        of the forward pass: the layer may have others by now (torch.func.functional_call)."""
        layer, rule, trajectory = self.layer, self.rule, self.trajectory(z)
        layer.backward_passes += 1
        w_in, w_rec = kernel_weights(w_in, w_rec)
        signal = signal.to(trajectory.h.dtype)
        by_x = by_in = by_rec = None
        if not (wants_x or rule.plastic):
            return LayerGradients(None, None, None)
        delta = checked(rule, "delta", rule.delta(layer.neuron, trajectory, signal, w_rec), signal)
        if wants_x:
            by_current = checked(rule, "input_delta", rule.input_delta(delta), signal)
            by_x = (events.of_frames(by_current, self.x) if isinstance(self.x, Held) else by_current) @ w_in
        if rule.plastic:
            by_in = events.outer(delta, self.x)
            if w_rec.numel():
                by_rec = events.delayed_outer(delta, trajectory.spikes, trajectory.before.z).fill_diagonal_(0)
        return LayerGradients(by_x, by_in, by_rec)


class _Recurrent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, passed: Pass, x: Tensor | None, w_in: Tensor, w_rec: Tensor | None) -> Tensor:
        z = passed.forward(w_in, w_rec)
        ctx.passed = passed
        ctx.save_for_backward(z, x, w_in, w_rec)
        return z

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        z, x, *weights = ctx.saved_tensors
        signal = grads[0] if ctx.passed.lengths is None else mask_(grads[0].clone(), ctx.passed.lengths)
        gradients = ctx.passed.backward(z, signal, *weights, ctx.needs_input_grad[1])
        by_x = None if gradients.x is None else gradients.x.to(x.dtype)
        return None, by_x, gradients.w_in, gradients.w_rec


def kernel_weights(w_in: Tensor, w_rec: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weights for the kernels, detached; w_rec without autapses, whatever stands on its diagonal, and of no elements
    when there is no recurrence. Raises UsageError for half precision."""
    w_in = full_precision(w_in, "w_in")
    if w_rec is None:
        return w_in, w_in.new_empty(0, 0)
    w_rec = full_precision(w_rec, "w_rec")
    return w_in, w_rec.clone().fill_diagonal_(0) if bool(w_rec.diagonal().any()) else w_rec


def tensor_of(x: Inputs) -> Tensor | None:
    """The array of x that autograd can follow, if there is one."""
    return x.frames if isinstance(x, Held) else x if isinstance(x, Tensor) else None


def check_inputs(layer: RecurrentLayer, x: Inputs, state: NeuronState | None, lengths: Tensor | None) -> None:
    """Raises UsageError for inputs, a state or lengths that do not fit a layer."""
    events.check_kind(x, "the input", held=True)
    shape, n_in = tuple(x.shape), layer.n_in
    if len(shape) != 3 or shape[2] != n_in or not shape[1]:
        raise UsageError(f"the input has the shape {list(shape)}: this layer reads [batch, time, {n_in}], time above 0")
    check_lengths(lengths, *shape[:2])
    check_state(layer.neuron, state, (shape[0], layer.n))
