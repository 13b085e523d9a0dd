"""A recurrent layer and its readout in one call: the same numbers as one after the other."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError
from repro.eprop.kernels.events import Inputs
from repro.eprop.kernels.first_order import first_order
from repro.eprop.kernels.padding import flip, mask_, remember
from repro.eprop.layers.bidirectional import Bidirectional, trial_lengths, turned
from repro.eprop.layers.fused import FusedPass, ReadoutInside
from repro.eprop.layers.readout import Readout, ReadoutPass, no_change
from repro.eprop.layers.recurrent import LayerGradients, Pass, RecurrentLayer, check_inputs, tensor_of
from repro.eprop.neurons.neuron import NeuronState
from repro.eprop.rules.rule import Rule
from repro.eprop.rules.signals import Factored, Feedback

Turn = Callable[[Tensor, bool], Tensor]


class SpikingNetwork(nn.Module):
    """`layer` (a RecurrentLayer or a Bidirectional) and `readout`, simulated and differentiated together.

    Equal to `y = readout(layer(x))`, with less passing of arrays [batch, time, neuron] from one to the other.
    `rule` and `feedback` are those of the layer and of the readout, and set them.
    """

    def __init__(self, layer: RecurrentLayer | Bidirectional, readout: Readout) -> None:
        super().__init__()
        if not isinstance(layer, RecurrentLayer | Bidirectional) or not isinstance(readout, Readout):
            raise UsageError(
                "a SpikingNetwork has a RecurrentLayer or a Bidirectional, and a Readout, not "
                f"{type(layer).__name__} and {type(readout).__name__}"
            )
        if layer.n != readout.n:
            raise UsageError(
                f"the layer has {layer.n} neurons and the readout reads {readout.n}: these have to be equal"
            )
        self.layer, self.readout = layer, readout

    @property
    def rule(self) -> Rule:
        """The learning rule of the layer, of both directions of a Bidirectional."""
        return self.layer.rule

    @rule.setter
    def rule(self, rule: Rule) -> None:
        self.layer.rule = rule

    @property
    def feedback(self) -> Feedback:
        """The feedback of the readout."""
        return self.readout.feedback

    @feedback.setter
    def feedback(self, feedback: Feedback | str) -> None:
        self.readout.feedback = feedback

    @property
    def directions(self) -> tuple[RecurrentLayer, ...]:
        """The layers that read a trial."""
        layer = self.layer
        return (layer,) if isinstance(layer, RecurrentLayer) else (layer.forward_layer, layer.backward_layer)

    @torch.compiler.disable
    def forward(
        self,
        x: Inputs,
        state: NeuronState | None = None,
        lengths: Tensor | None = None,
        y_before: Tensor | None = None,
        return_state: bool = False,
    ) -> Any:
        """Readouts y [batch, time or frame, readout] and outputs z of inputs x [batch, time, input].

        z is [batch, time, neuron]; of a Bidirectional it is a pair, each in the order in which that direction reads the
        trial. Both y and z are differentiable. With `return_state` the state after the last step is returned too. See
        `RecurrentLayer.forward` and `Readout.forward` for `state`, `lengths`, `y_before` and the errors raised.
        """
        layers = self.directions
        check_inputs(layers[0], x, state, lengths)
        self.readout.check((x.shape[0], x.shape[1], self.readout.n), lengths, y_before)
        self.readout.prepare(x.shape[1])
        if len(layers) > 1 and (state is not None or return_state):
            raise UsageError("a Bidirectional begins and ends each trial at rest: it takes and returns no state")
        ends = None if len(layers) == 1 else trial_lengths(x, lengths)
        given = [x] if ends is None else [x, turned(x, ends)]
        padded = lengths if lengths is not None and bool((lengths < x.shape[1]).any()) else None
        passes = [Pass(layer, own, state, padded) for layer, own in zip(layers, given, strict=True)]
        weights = [weight for layer in layers for weight in (layer.w_in, layer.w_rec)]
        whole = _Whole(passes, self.readout, padded, y_before, _turns(ends, self.readout.frame_steps))
        y, *z = _Network.apply(whole, self.readout.w_out, self.readout.b_out, *map(tensor_of, given), *weights)
        for array, passed in zip(z, passes, strict=True):
            remember(array, passed.trajectory().events, lengths)
        spikes = z[0] if len(z) == 1 else tuple(z)
        return (y, spikes, passes[0].after) if return_state else (y, spikes)


def _turns(ends: Tensor | None, frame_steps: int) -> list[Turn]:
    """How each direction orders time."""
    if ends is None:
        return [no_change]

    def turn(series: Tensor, in_frames: bool) -> Tensor:
        turned: Tensor = flip(series, ends // frame_steps if in_frames else ends)
        return turned

    return [no_change, turn]


class _Whole:
    """One forward pass of all layers and of the readout."""

    def __init__(
        self,
        passes: list[Pass],
        readout: Readout,
        lengths: Tensor | None,
        y_before: Tensor | None,
        turns: list[Turn],
    ) -> None:
        self.passes, self.readout, self.lengths, self.y_before, self.turns = passes, readout, lengths, y_before, turns
        self.fused: list[FusedPass | None] = [FusedPass(passed) for passed in passes]
        self.inside = False  # whether the kernels compute the readout too

    def of_readout(self, z: list[Tensor]) -> ReadoutPass:
        """The readout's pass, from the layers' outputs: as events where there are any."""
        spikes = [p.trajectory().events or array for p, array in zip(self.passes, z, strict=True)]
        return ReadoutPass(self.readout, spikes, self.lengths, self.y_before, self.turns)

    def forward(
        self, weights: list[tuple[Any, Any]], w_out: Tensor, b_out: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """y [batch, time or frame, readout], and z of each layer."""
        self.fused = [f if f and f.fits(pair[0]) else None for f, pair in zip(self.fused, weights, strict=True)]
        first, readout = self.fused[0], self.readout
        alike = type(readout) is Readout and readout.frame_steps == 1 and weights[0][0].dtype == w_out.dtype
        if first is not None and len(self.passes) == 1 and alike:
            self.inside = True
            z, y = first.forward(*weights[0], ReadoutInside(readout, w_out, self.y_before))
            return mask_(y if b_out is None else y + b_out.detach(), self.lengths), [z]
        outputs = [
            passed.forward(*pair) if fused is None else fused.forward(*pair)[0]
            for passed, fused, pair in zip(self.passes, self.fused, weights, strict=True)
        ]
        return self.of_readout(outputs).forward(w_out, b_out), outputs

    def reverse(
        self,
        z: list[Tensor],
        grads: Sequence[Tensor | None],
        w_out: Tensor,
        weights: list[tuple[Any, Any]],
        wants_x: Sequence[bool],
    ) -> tuple[Tensor | None, Tensor | None, list[LayerGradients]]:
        """Gradients of w_out, b_out and each layer, from dE/dy and dE/dz of each layer; all but `w_out` and dE/dy are
        in the order of `passes`."""
        by_y, *by_z = grads
        fused = self.fused[0]
        if self.inside and fused and by_y is not None and fused.can_reverse() and not self.readout.feedback.changes:
            error = (
                by_y.to(w_out.dtype) if self.lengths is None else mask_(by_y.to(w_out.dtype, copy=True), self.lengths)
            )
            onto = self.readout.feedback_weights(z[0].shape[1], w_out)[0]
            inside = ReadoutInside(self.readout, w_out)
            layer, by_w_out = fused.reverse(weights[0], Factored(error, onto), by_z[0], wants_x[0], inside)
            return by_w_out, error.sum(dim=(0, 1)), [layer]
        learns = any(wants_x) or any(passed.rule.plastic for passed in self.passes)
        by_b_out: Tensor | None = None
        signals: list[Tensor | Factored | None] = [None] * len(self.passes)
        by_w: Tensor | None = None
        if by_y is not None:
            by_w, by_b_out, sent = self.of_readout(z).backward(by_y, w_out, learns)
            signals = [*sent] if sent else signals
        layers = [self._of_layer(k, z[k], signals[k], by_z[k], weights[k], wants_x[k]) for k in range(len(z))]
        return by_w, by_b_out, layers

    def _of_layer(
        self,
        k: int,
        z: Tensor,
        signal: Tensor | Factored | None,
        by_z: Tensor | None,
        weights: tuple[Any, Any],
        wants_x: bool,
    ) -> LayerGradients:
        fused = self.fused[k]
        if fused is not None and isinstance(signal, Factored) and fused.can_reverse():
            return fused.reverse(weights, signal, by_z, wants_x)[0]
        dense = signal.dense() if isinstance(signal, Factored) else signal
        total = _total(dense, by_z, self.lengths)
        if total is None:
            return LayerGradients(None, None, None)
        return self.passes[k].backward(z, total, *weights, wants_x)


class _Network(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: _Whole, w_out: Tensor, b_out: Tensor | None, *rest: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        with torch.autocast(w_out.device.type, enabled=False):
            y, z = whole.forward(_pairs(rest[len(whole.passes) :]), w_out, b_out)
        ctx.whole = whole
        ctx.save_for_backward(w_out, *z, *rest)
        return y, *z

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        whole: _Whole = ctx.whole
        number = len(whole.passes)
        w_out, *saved = ctx.saved_tensors
        z, x, weights = saved[:number], saved[number : 2 * number], _pairs(saved[2 * number :])
        wants_x = ctx.needs_input_grad[3 : 3 + number]
        by_w_out, by_b_out, layers = whole.reverse(z, grads, w_out, weights, wants_x)
        by_x = [None if by.x is None else by.x.to(of.dtype) for by, of in zip(layers, x, strict=True)]
        by_weights = [by_weight for by in layers for by_weight in (by.w_in, by.w_rec)]
        return None, by_w_out, by_b_out if ctx.needs_input_grad[2] else None, *by_x, *by_weights


def _pairs(weights: Sequence[Any]) -> list[tuple[Any, Any]]:
    """w_in and w_rec of each layer."""
    return list(zip(weights[::2], weights[1::2], strict=True))


def _total(signal: Tensor | None, by_z: Tensor | None, lengths: Tensor | None) -> Tensor | None:
    """The learning signal by way of the readout, and what the loss has of z beside it; zero in padding."""
    if by_z is None:
        return signal
    total = by_z.clone() if signal is None else signal.add_(by_z)
    return mask_(total, lengths)
