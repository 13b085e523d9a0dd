"""e-prop 1 run forward in time, as a chip would (Eq. 2, 45, 48): traces whose memory does not grow with time."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels.dispatch import exponential_filter
from repro.eprop.kernels.events import Inputs, delayed, outer
from repro.eprop.layers.readout import Readout
from repro.eprop.layers.recurrent import RecurrentLayer, check_inputs, tensor_of
from repro.eprop.layers.rule_layer import deliver, leaves_of
from repro.eprop.neurons.local_jacobians import leaf_of
from repro.eprop.neurons.neuron import NeuronState, state_before
from repro.eprop.rules.rate import RateTerm, shared_rates
from repro.eprop.rules.rule import EProp
from repro.eprop.rules.signals import project
from repro.eprop.rules.synapses import Synapses, synapses_onto
from repro.eprop.rules.traces import FULL

CHUNK = 50  # steps between two looks at the readout; changes nothing but the time it takes


class Online(NamedTuple):
    """What one batch of trials gave: `loss`, whose backward pass delivers the gradients; readouts y
    [batch, time, readout]; mean rates [neuron] in Hz; the spikes of a few neurons [batch, time, watched]; the state
    after the last step."""

    loss: Tensor
    y: Tensor
    rates_hz: Tensor
    watched: Tensor
    state: NeuronState


def online_eprop(
    layer: RecurrentLayer,
    readout: Readout,
    x: Inputs,
    loss_at: Callable[[Tensor, int], Tensor],
    rate: RateTerm | None = None,
    *,
    state: NeuronState | None = None,
    watch: int = 20,
) -> Online:
    """Gradients of e-prop 1 for inputs x [batch, time, input], in one pass forward in time.

    Equal to `EProp()` with the readout's feedback, up to rounding. The memory of the traces does not grow with time; x,
    y and the spikes of watched neurons are kept. It takes about ten times as long. The errors are needed during the
    forward pass: `loss_at(y, first_step)` is the loss of the readouts y [batch, steps, readout] of a piece of the
    trial, of 50 steps or what is left of them, that begins at `first_step`. The losses of all pieces add up: for a mean
    over steps return the sum over the piece, divided by the number of steps of the trial. A loss of y's mean over time,
    such as its cross entropy, cannot be had. The `rate` term is added to the loss. `watch` neurons are returned for a
    raster.

    Only this layer and this readout receive gradients. Raises UsageError where anything else would expect one: inputs x
    that require a gradient, and parameters in `loss_at`. It does so too for a loss that is no scalar, a rule other than
    EProp() with its full trace, frames, or feedback that the receiving time chooses: these need later errors.
    """
    _check(layer, readout, x, rate)
    check_inputs(layer, x, state, None)
    run = _Run(layer, readout, x, rate, watch, state)
    total = torch.zeros((), dtype=layer.w_in.dtype, device=x.device)
    with torch.autocast(x.device.type, enabled=False):
        for start in range(0, x.shape[1], CHUNK):
            total = total + run.chunk(start, loss_at)
        gradients, rates, rate_loss = run.finish()
    parameters = {"w_in": layer.w_in, "w_rec": layer.w_rec, "w_out": readout.w_out, "b_out": readout.b_out}
    wanted = {name: parameter for name, parameter in parameters.items() if parameter is not None}
    loss = deliver(total + rate_loss, layer, [(parameter, gradients[name]) for name, parameter in wanted.items()])
    return Online(loss, run.y, rates, run.watched, run.state)


def _check(layer: RecurrentLayer, readout: Readout, x: Inputs, rate: RateTerm | None) -> None:
    if not isinstance(layer, RecurrentLayer) or not isinstance(readout, Readout):
        raise UsageError(
            f"online_eprop takes a RecurrentLayer and a Readout, not {type(layer).__name__}, {type(readout).__name__}"
        )
    if layer.rule != EProp(FULL):
        raise UsageError(
            f"online_eprop keeps the full eligibility trace: the layer's rule is {layer.rule}, not EProp()"
        )
    if readout.feedback.changes and readout.feedback.time == "slice":
        raise UsageError("online_eprop cannot know later errors: use feedback chosen by the time of the error")
    if rate is not None and rate.dt_ms != readout.dt_ms:
        raise UsageError(f"the steps of the rate term last {rate.dt_ms:g} ms, those of the readout {readout.dt_ms:g}")
    if readout.frame_steps > 1:
        raise UsageError("online_eprop reads every step: use a readout without frames")
    frames = tensor_of(x)
    if frames is not None and frames.requires_grad and torch.is_grad_enabled():
        raise UsageError(
            "online_eprop gives x no gradient, and an encoder in front would get none: detach x, or use EProp()"
        )


def _error(loss: Tensor, y: Tensor) -> Tensor:
    """dE/dy of the loss of a piece. Raises UsageError for what is no scalar loss of y alone."""
    if not isinstance(loss, Tensor) or loss.dim() or not loss.is_floating_point():
        kind = f"a tensor of the shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UsageError(f"loss_at returned {kind}: it returns the loss of a piece, a tensor of one number")
    leaves = leaves_of(loss)
    for leaf in leaves:
        if leaf is not y:
            raise UsageError(
                f"loss_at depends on a parameter of shape {list(leaf.shape)}, which would get no gradient: use y and "
                "targets alone, or use EProp()"
            )
    if not leaves:
        raise UsageError("loss_at returned a loss that does not depend on y: without a target return 0 * y.sum()")
    (error,) = torch.autograd.grad(loss, y)
    return error


class _Run:
    """One batch of trials on its way through time, off the tape. All arrays of the trial's length are made before the
    loop: small ones left behind in it would fragment the heap, and memory would grow with time."""

    def __init__(
        self,
        layer: RecurrentLayer,
        readout: Readout,
        x: Inputs,
        rate: RateTerm | None,
        watch: int,
        state: NeuronState | None,
    ) -> None:
        w_in, w_rec = layer.weights()
        self.layer, self.readout, self.rate = layer, readout, rate
        self.x = (x if isinstance(x, Tensor) else x.dense(w_in.dtype)).detach()
        batch, time, n_in = self.x.shape
        like = w_in.new_empty(0)
        self.state = state_before(layer.neuron, state, batch, layer.n, like)
        self.onto: dict[str, Synapses] = {"w_in": synapses_onto(layer.neuron, batch, layer.n, n_in, like)}
        if w_rec.numel():
            self.onto["w_rec"] = synapses_onto(layer.neuron, batch, layer.n, layer.n, like)
        self.by_w_out, self.by_b_out = like.new_zeros(readout.n_out, layer.n), like.new_zeros(readout.n_out)
        self.z_filtered, self.spikes = like.new_zeros(batch, layer.n), like.new_zeros(layer.n)
        self.y = like.new_empty(batch, time, readout.n_out)
        self.watched = like.new_empty(batch, time, min(watch, layer.n))
        self.y_before: Tensor | None = None

    def chunk(self, start: int, loss_at: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Go through one piece of the trial; returns its loss."""
        readout, stop = self.readout, start + CHUNK
        x = self.x[:, start:stop]
        with torch.no_grad():
            trajectory, self.state = self.layer.simulate(x, self.state, keep_variables=False)
            self.state.check_finite()
            z = trajectory.z
            y = readout(z, self.y_before)
        with torch.inference_mode(False), torch.enable_grad():
            leaf = leaf_of(y)
            loss = loss_at(leaf, start)
            error = _error(loss, leaf)
        with torch.no_grad():
            onto = readout.feedback_weights(self.x.shape[1])
            window = readout.feedback.window_steps(readout.dt_ms)
            signal = readout.scale * project(error, onto, window, start)
            sources = {"w_in": x.to(z.dtype), "w_rec": delayed(z, trajectory.before.z)}
            for name, synapses in self.onto.items():
                synapses.advance(trajectory, signal, sources[name], readout.kappa)
            self.by_w_out += self._outer_filtered(error, z)
            self.by_b_out += error.sum(dim=(0, 1))
            self.y_before = y[:, -1] if readout.b_out is None else y[:, -1] - readout.b_out
            self.spikes += z.sum(dim=(0, 1))
            self.y[:, start:stop], self.watched[:, start:stop] = y, z[:, :, : self.watched.shape[2]]
        return loss.detach()

    def _outer_filtered(self, error: Tensor, z: Tensor) -> Tensor:
        """What a piece adds to the gradient of w_out (Eq. 48)."""
        driven = (self.readout.scale * z).contiguous()
        driven[:, 0] += self.readout.kappa * self.z_filtered
        filtered = exponential_filter(driven, self.readout.kappa)
        self.z_filtered = filtered[:, -1].clone()
        return outer(error, filtered)

    @torch.no_grad()
    def finish(self) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Gradients by name, mean rates [neuron] in Hz over all processes, and the rate term's loss."""
        batch, time, _ = self.x.shape
        rates, steps = shared_rates(self.spikes, batch * time, self.readout.dt_ms)
        loss, rate_signal = torch.zeros_like(rates[0]), torch.zeros_like(rates)
        if self.rate is not None:
            loss, rate_signal = self.rate.loss(rates), self.rate.signal(rates, steps)
        gradients = {name: synapses.total(rate_signal) for name, synapses in self.onto.items()}
        if "w_rec" in gradients:
            gradients["w_rec"].fill_diagonal_(0)
        return gradients | {"w_out": self.by_w_out, "b_out": self.by_b_out}, rates, loss
