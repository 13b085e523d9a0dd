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
from repro.eprop.layers.fused import FusedPass, Parameters
from repro.eprop.layers.readout import Readout, ReadoutPass, no_change
from repro.eprop.layers.recurrent import LayerGradients, Pass, RecurrentLayer, check_inputs, tensor_of
from repro.eprop.neurons.neuron import NeuronState
from repro.eprop.rules.rule import Rule
from repro.eprop.rules.signals import Feedback

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
        passes = [Pass(layer, own, state, lengths) for layer, own in zip(layers, given, strict=True)]
        weights = [weight for layer in layers for weight in (layer.w_in, layer.w_rec)]
        whole = _Whole(passes, self.readout, lengths, y_before, _turns(ends, self.readout.frame_steps))
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
        self.fused = FusedPass(passes[0], readout, lengths, y_before) if len(passes) == 1 else None

    def of_readout(self, z: list[Tensor]) -> ReadoutPass:
        """The readout's pass, from the layers' outputs: as events where there are any."""
        spikes = [p.trajectory().events or array for p, array in zip(self.passes, z, strict=True)]
        return ReadoutPass(self.readout, spikes, self.lengths, self.y_before, self.turns)

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
        learns = any(wants_x) or any(passed.rule.plastic for passed in self.passes)
        by_w_out = by_b_out = None
        signals: list[Tensor | None] = [None] * len(self.passes)
        if grads[0] is not None:
            by_w_out, by_b_out, sent = self.of_readout(z).backward(grads[0], w_out, learns)
            signals = [*sent] if sent else signals
        layers = []
        for k, passed in enumerate(self.passes):
            signal = _total(signals[k], grads[1 + k], self.lengths)
            none = LayerGradients(None, None, None)
            layers.append(none if signal is None else passed.backward(z[k], signal, *weights[k], wants_x[k]))
        return by_w_out, by_b_out, layers


class _Network(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: _Whole, w_out: Tensor, b_out: Tensor | None, *rest: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        weights = _pairs(rest[len(whole.passes) :])
        with torch.autocast(w_out.device.type, enabled=False):
            parameters = Parameters(*weights[0], w_out, b_out)
            if whole.fused is not None and whole.fused.fits(parameters):
                y, *z = whole.fused.forward(parameters)
            else:
                whole.fused = None
                z = [passed.forward(*pair) for passed, pair in zip(whole.passes, weights, strict=True)]
                y = whole.of_readout(z).forward(w_out, b_out)
        ctx.whole = whole
        ctx.save_for_backward(w_out, *z, *rest)
        return y, *z

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        whole: _Whole = ctx.whole
        number, fused = len(whole.passes), whole.fused
        w_out, *saved = ctx.saved_tensors
        z, x, weights = saved[:number], saved[number : 2 * number], _pairs(saved[2 * number :])
        wants_x = ctx.needs_input_grad[3 : 3 + number]
        by_w_out: Tensor | None
        by_b_out: Tensor | None
        if fused is not None and grads[0] is not None and fused.can_reverse():
            parameters = Parameters(*weights[0], w_out, None)
            by_w_out, by_b_out, layer = fused.reverse(parameters, grads[0], grads[1], wants_x[0])
            layers = [layer]
        else:
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
