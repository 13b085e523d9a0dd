"""LIF or ALIF neurons and their readout in one call each way, where the device has kernels for that.

Equal to the layer and the readout one after the other, without the arrays [batch, time, neuron] between them: currents,
drives, learning signals, deltas.
"""

from typing import NamedTuple

from torch import Tensor

from repro.eprop.kernels import dispatch, events
from repro.eprop.kernels.events import Inputs, SpikeTrains
from repro.eprop.kernels.padding import cheapest, mask_
from repro.eprop.layers.readout import Readout
from repro.eprop.layers.recurrent import LayerGradients, Pass, RecurrentLayer, kernel_weights
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.neuron import NOT_KEPT, NeuronState, Trajectory
from repro.eprop.rules.rule import EProp


class Parameters(NamedTuple):
    """The weights of a forward pass."""

    w_in: Tensor
    w_rec: Tensor | None
    w_out: Tensor
    b_out: Tensor | None


class FusedPass:
    """One forward pass of a layer and a readout. What the layer's own backward pass needs is left in `passed`, so that
    any rule can follow; `reverse` is that of e-prop."""

    def __init__(self, passed: Pass, readout: Readout, lengths: Tensor | None, y_before: Tensor | None) -> None:
        self.passed, self.readout, self.lengths, self.y_before = passed, readout, lengths, y_before
        self.inputs: Inputs = cheapest(passed.x) if isinstance(passed.x, Tensor) else passed.x
        self.trials: tuple[Tensor, ...] = ()  # of each event of the inputs, and of each spike

    def fits(self, weights: Parameters) -> bool:
        """Whether the forward pass is that of the classes which the kernels implement, in one precision."""
        layer, readout, state, dtype = self.passed.layer, self.readout, self.passed.state, weights.w_in.dtype
        return (
            (type(layer), type(readout)) == (RecurrentLayer, Readout)
            and isinstance(layer.neuron, IntegrateAndFire)
            and type(layer.neuron).simulate is IntegrateAndFire.simulate
            and layer.neuron.surrogate is None
            and readout.frame_steps == 1
            and weights.w_out.dtype == dtype
            and (state is None or all(x.dtype == dtype for x in (*state.variables, state.z, state.refractory)))
            and dispatch.of(weights.w_in).network_forward is not None
        )

    def forward(self, weights: Parameters) -> tuple[Tensor, Tensor]:
        """y [batch, time, readout] and z [batch, time, neuron]."""
        passed, neuron, readout, inputs = self.passed, self._neuron, self.readout, self.inputs
        w_in, w_rec = kernel_weights(weights.w_in, weights.w_rec)
        w_out, batch = weights.w_out.detach(), inputs.shape[0]
        before = passed.state or neuron.initial_state(batch, passed.layer.n, w_in)
        if not isinstance(inputs, SpikeTrains):
            inputs, w_in = events.linear(inputs, w_in), w_in.new_empty(0, 0)
        y_before = w_out.new_zeros(batch, readout.n_out) if self.y_before is None else self.y_before.detach().to(w_out)
        keep_v = passed.rule.keeps_variables
        made = dispatch.of(w_out).network_forward(
            inputs,
            (w_in, w_rec, w_out),
            neuron.adaptation(before.z),
            (before.variables[0], before.variables[-1], before.z, before.refractory),
            y_before,
            (
                *(neuron.alpha, neuron.rho, neuron.v_th, neuron.refractory_steps, neuron.dampening / neuron.v_th),
                *(readout.kappa, readout.scale),
            ),
            keep_v,
        )
        self.trials = made.trials
        trajectory = Trajectory(made.z, made.h, (made.v,) if keep_v else NOT_KEPT, before, events=made.spikes)
        *variables, z, refractory = made.state
        z_all = passed.keep(trajectory, NeuronState(tuple(variables[: len(neuron.names)]), z, refractory))
        y = made.y if weights.b_out is None else made.y + weights.b_out.detach()
        return mask_(y, self.lengths), z_all

    def can_reverse(self) -> bool:
        """Whether the backward pass is e-prop with its full trace and one matrix B, of whole trials."""
        ours = type(self._neuron).e_prop_delta is IntegrateAndFire.e_prop_delta
        return ours and self.passed.rule == EProp() and not self.readout.feedback.changes and self.lengths is None

    def reverse(
        self, weights: Parameters, by_y: Tensor, by_z: Tensor | None, wants_x: bool
    ) -> tuple[Tensor, Tensor, LayerGradients]:
        """Gradients of w_out, b_out and the layer, from dE/dy [batch, time, readout] and, of the loss's other terms,
        dE/dz [batch, time, neuron]."""
        passed, neuron, readout = self.passed, self._neuron, self.readout
        trajectory, w_out = passed.trajectory(), weights.w_out.detach()
        h, inputs, before = trajectory.h, self.inputs, trajectory.before.z
        passed.layer.backward_passes += 1
        by_y, as_events = by_y.to(w_out.dtype), isinstance(inputs, SpikeTrains)
        by_z = h.new_zeros(1).expand(h.shape) if by_z is None else by_z.to(h.dtype)
        of = dispatch.of(h).network_reverse(
            h,
            (by_z, by_y, readout.feedback_weights(h.shape[1], w_out)[0]),
            inputs if as_events else None,
            trajectory.events,
            self.trials,
            neuron.adaptation(before),
            (neuron.alpha, neuron.rho, readout.kappa, readout.scale),
            wants_x or not as_events,
        )
        by_in = of.w_in if as_events else events.outer(of.delta, inputs)
        by_rec = None
        if weights.w_rec is not None:
            by_rec = of.w_rec if not before.any() else of.w_rec + of.first.T @ before
            by_rec.fill_diagonal_(0)
        by_x = passed.of_inputs(of.delta, kernel_weights(weights.w_in, None)[0]) if wants_x else None
        return of.w_out, by_y.sum(dim=(0, 1)), LayerGradients(by_x, by_in, by_rec)

    @property
    def _neuron(self) -> IntegrateAndFire:
        neuron = self.passed.layer.neuron
        assert isinstance(neuron, IntegrateAndFire)
        return neuron
