"""LIF or ALIF neurons in one call each way, with their readout or without, where the device has kernels for that.

Equal to the layer and the readout one after the other, without the arrays [batch, time, neuron] between them: currents,
drives, learning signals, deltas.
"""

from typing import NamedTuple

from torch import Tensor

from repro.eprop.kernels import dispatch, events
from repro.eprop.kernels.events import Held, Inputs, SpikeTrains
from repro.eprop.kernels.padding import cheapest
from repro.eprop.layers.readout import Readout
from repro.eprop.layers.recurrent import LayerGradients, Pass, RecurrentLayer, kernel_weights
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.neuron import NOT_KEPT, NeuronState, Trajectory, state_before
from repro.eprop.rules.rule import BPTT, EProp
from repro.eprop.rules.signals import Factored


class ReadoutInside(NamedTuple):
    """A readout that the kernels compute: its weights [readout, neuron], y before the first step [batch, readout]."""

    readout: Readout
    w_out: Tensor
    y_before: Tensor | None = None


class FusedPass:
    """One forward pass of a layer. What the layer's own backward pass needs is left in `passed`, so that any rule can
    follow; `reverse` is that of e-prop and of BPTT."""

    def __init__(self, passed: Pass) -> None:
        self.passed = passed
        self.inputs: Inputs = cheapest(passed.x) if isinstance(passed.x, Tensor) else passed.x
        self.trials: tuple[Tensor, ...] = ()  # of each event of the inputs, and of each spike

    def fits(self, w_in: Tensor) -> bool:
        """Whether the forward pass is that of the classes which the kernels implement."""
        layer = self.passed.layer
        return (
            type(layer) is RecurrentLayer
            and isinstance(layer.neuron, IntegrateAndFire)
            and type(layer.neuron).simulate is IntegrateAndFire.simulate
            and layer.neuron.surrogate is None
            and dispatch.of(w_in).network_forward is not None
        )

    def forward(self, w_in: Tensor, w_rec: Tensor | None, inside: ReadoutInside | None = None) -> tuple[Tensor, Tensor]:
        """z [batch, time, neuron], and y [batch, time, readout] without bias, of no elements without a readout."""
        passed, neuron, inputs = self.passed, self._neuron, self.inputs
        w_in, w_rec = kernel_weights(w_in, w_rec)
        batch, none = inputs.shape[0], w_in.new_empty(0, 0)
        before = state_before(neuron, passed.state, batch, passed.layer.n, w_in)
        given: Inputs = inputs
        if isinstance(inputs, Held):
            given, w_in = inputs._replace(frames=events.linear(inputs.frames, w_in)), none
        elif isinstance(inputs, Tensor):
            given, w_in = events.linear(inputs, w_in), none
        w_out, y_before, of_readout = none, none, (0.0, 0.0)
        if inside is not None:
            w_out, of_readout = inside.w_out.detach(), (inside.readout.kappa, inside.readout.scale)
            y_before = w_out.new_zeros(batch, len(w_out)) if inside.y_before is None else inside.y_before.detach()
        made = dispatch.of(w_rec).network_forward(
            given,
            (w_in, w_rec, w_out),
            neuron.adaptation(before.z),
            (before.variables[0], before.variables[-1], before.z, before.refractory),
            y_before.to(w_out),
            (
                *(neuron.alpha, neuron.rho, neuron.v_th, neuron.refractory_steps, neuron.dampening / neuron.v_th),
                *of_readout,
            ),
            passed.rule.keeps_variables,
        )
        self.trials = made.trials
        variables = (made.v,) if passed.rule.keeps_variables else NOT_KEPT
        trajectory = Trajectory(made.z, made.h, variables, before, events=made.spikes)
        *after, z, refractory = made.state
        return passed.keep(trajectory, NeuronState(tuple(after[: len(neuron.names)]), z, refractory)), made.y

    def can_reverse(self) -> bool:
        """Whether the backward pass is e-prop with its full trace, or BPTT of many neurons (of few it is slower)."""
        kind, rule, layer = type(self._neuron), self.passed.rule, self.passed.layer
        if rule == BPTT():
            ours = kind.bptt_delta is IntegrateAndFire.bptt_delta
            return ours and layer.n > dispatch.FEW_NEURONS and layer.w_rec is not None
        return rule == EProp() and kind.e_prop_delta is IntegrateAndFire.e_prop_delta

    def reverse(
        self,
        weights: tuple[Tensor, Tensor | None],
        signal: Factored,
        by_z: Tensor | None,
        wants_x: bool,
        inside: ReadoutInside | None = None,
    ) -> tuple[LayerGradients, Tensor]:
        """Gradients of the layer and, if it is `inside`, of w_out, from the learning signal by way of the readout and,
        of the loss's other terms, dE/dz [batch, time, neuron]. Of a readout inside, `signal.error` is dE/dy."""
        passed, neuron, inputs, (w_in, w_rec) = self.passed, self._neuron, self.inputs, weights
        trajectory = passed.trajectory()
        h, before = trajectory.h, trajectory.before.z
        passed.layer.backward_passes += 1
        as_events, held = isinstance(inputs, SpikeTrains), inputs.steps_each if isinstance(inputs, Held) else 1
        through = None
        if passed.rule == BPTT():
            through = kernel_weights(w_in, w_rec)[1].clone().fill_diagonal_(-neuron.v_th)
        of_readout = (0.0, 1 / signal.steps_each)
        if inside is not None:
            of_readout = inside.readout.kappa, inside.readout.scale
        of = dispatch.of(h).network_reverse(
            h,
            (
                h.new_zeros(1).expand(h.shape) if by_z is None else by_z.to(h.dtype),
                *(signal.error.to(h.dtype), signal.onto.to(h.dtype), passed.lengths),
            ),
            inputs if as_events else None,
            trajectory.events,
            self.trials,
            neuron.adaptation(before),
            (neuron.alpha, neuron.rho, *of_readout),
            held if wants_x or not as_events else 0,
            through,
            inside is not None,
        )
        by_in = of.w_in if as_events else events.outer(of.delta, inputs.frames if isinstance(inputs, Held) else inputs)
        by_rec = None
        if w_rec is not None:
            by_rec = of.w_rec if not before.any() else of.w_rec + of.first.T @ before
            by_rec.fill_diagonal_(0)
        by_x = of.delta @ kernel_weights(w_in, None)[0] if wants_x else None
        return LayerGradients(by_x, by_in, by_rec), of.w_out

    @property
    def _neuron(self) -> IntegrateAndFire:
        neuron = self.passed.layer.neuron
        assert isinstance(neuron, IntegrateAndFire)
        return neuron
