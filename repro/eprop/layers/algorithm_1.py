"""Algorithm 1 as a loss: the gradients of a window are computed at once, and its backward pass delivers them."""

import contextlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels.cuda_graph import Replayed, copied
from repro.eprop.layers.eligibility_vectors import EligibilityVectors
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.layers.rule_layer import deliver, leaves_of
from repro.eprop.neurons.lstm import LSTMState
from repro.eprop.rules.synthetic import (
    AS_PRINTED,
    Algorithm1,
    Algorithm1Options,
    Errors,
    SyntheticGradient,
    Window,
    WindowGradients,
    learned,
    on_tape,
    window_gradients,
)

GRAPH_DEVICES = ("cuda",)


class WindowLoss(NamedTuple):
    """`loss` = `error` + `prediction_error`, the one with gradients; the state after the window; the window's errors
    and E_SG (Eq. 66), each per sequence (mean over the batch). All but `loss` are detached."""

    loss: Tensor
    state: LSTMState
    error: Tensor
    prediction_error: Tensor


class Algorithm1Loss:
    """The loss of a window by Algorithm 1, for an LSTM layer with any readout and any errors.

    Its backward pass delivers the gradients of the layer by the layer's rule, of the predictor, of the tensors
    `readout`, and of the window's inputs to whatever made them, each multiplied by the gradient that the loss receives:
    accumulation, gradient scaling, DDP and clipping work as with any loss. All gradients are means over the batch.

        learn = Algorithm1Loss(layer, errors, readout.parameters(), SyntheticGradient(n, 512))
        vectors = layer.eligibility_vectors(batch)
        for sequences in data:
            state, pieces = None, [Window(...), ...]
            vectors.reset()
            for window, following in zip(pieces, [*pieces[1:], None]):
                loss, state, *_ = learn(window, following, state, vectors)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    with `errors(h, target)` such as

        def errors(h, target):  # h [batch, step, unit]; a sum over sequences and steps
            return F.cross_entropy(readout(h).flatten(0, 1), target.flatten(), reduction="sum")

    `predictor` None: boundaries of zero. In a LightningModule, keep all of it but the state in attributes; the state
    and the vectors are in no checkpoint.

    On CUDA the computation of each shape of windows is captured as a graph and replayed: reset the vectors rather than
    make new ones, and let `errors` read no tensors but h, its target and `readout`, and no numbers that change. The
    optimizer's step is not in the graph. Lightning calls it after clipping, gradient scaling, accumulation and the
    averaging of DDP, none of which a graph of the window could contain. With `fused=True` it is a launch or two, and
    reads its step count on the device.
    """

    def __init__(
        self,
        layer: LSTMLayer,
        errors: Errors,
        readout: Iterable[Tensor] = (),
        predictor: SyntheticGradient | None = None,
        options: Algorithm1Options = AS_PRINTED,
    ) -> None:
        self.layer, self.errors, self.readout = layer, errors, tuple(readout)
        self.predictor, self.options = predictor, options
        self._replayed: Replayed | None = None
        self._checked = False

    @torch.compiler.disable  # computes gradients in the forward pass
    def __call__(
        self,
        window: Window,
        following: Window | None,
        state: LSTMState | None = None,
        vectors: EligibilityVectors | None = None,
    ) -> WindowLoss:
        """The loss of `window`, which begins in `state` (zeros if None); advances `vectors` at once, where the rule
        carries any. `following` is the next window, None at the end of the sequences.

        Raises UsageError where the layer does, for a predictor beside a rule that does not look ahead, and where
        `errors` depends on a parameter that is not in `readout`.
        """
        layer, rule = self.layer, self.layer.rule.window_rule()
        if self.predictor is not None and not rule.recurrence:
            raise UsageError(f"{layer.rule} does not look ahead: leave out the predictor, or give the layer EProp3()")
        layer.check(window.inputs, state, None, vectors)
        carried = vectors if rule.vectors == "carried" else None
        with torch.autocast(window.inputs.device.type, enabled=False):
            this, later = self._detached(window), following and self._detached(following)
            self._check_readout(this)
            state = state or layer.initial_state(len(this.inputs))
            with contextlib.nullcontext() if carried is None else carried.advancing(this.inputs.shape[1]):
                gradients = self._compute(this, later, state, carried, window.inputs.requires_grad)
        return self._loss(window.inputs, gradients)

    def __getstate__(self) -> dict[str, Any]:
        """For copies: recorded graphs belong to the original's weights."""
        return self.__dict__ | {"_replayed": None}

    def _algorithm(self) -> Algorithm1:
        layer, readout = self.layer, tuple(tensor for tensor in self.readout if tensor.requires_grad)
        rule = layer.rule.window_rule()
        return Algorithm1(layer.neuron, layer.weights, rule, self.errors, readout, self.predictor, self.options)

    def _detached(self, window: Window) -> Window:
        dtype = self.layer.w_in.dtype
        after = None if window.next_input is None else window.next_input.detach().to(dtype)
        return Window(window.inputs.detach().to(dtype), window.target, after)

    def _check_readout(self, window: Window) -> None:
        """Once: a parameter that `readout` lacks would silently receive no gradient."""
        if self._checked:
            return
        with torch.inference_mode(False), torch.enable_grad():
            zeros = window.inputs.new_zeros(*window.inputs.shape[:2], self.layer.n)
            h, error = on_tape(self.errors, zeros, window.target)
            leaves = leaves_of(error)
        for leaf in leaves:
            if leaf is not h and not any(leaf is tensor for tensor in self.readout):
                raise UsageError(
                    f"errors depends on a parameter of shape {list(leaf.shape)} that is not in readout: add it, or it "
                    "learns nothing"
                )
        self._checked = True

    def _compute(
        self,
        window: Window,
        following: Window | None,
        state: LSTMState,
        vectors: EligibilityVectors | None,
        with_inputs: bool,
    ) -> WindowGradients:
        arguments = window, following, state, vectors, with_inputs
        if window.inputs.device.type not in GRAPH_DEVICES:
            return self._window_gradients(*arguments)
        self._replayed = self._replayed or Replayed(self._window_gradients)
        algorithm = self._algorithm()
        parameters = () if self.predictor is None else tuple(self.predictor.parameters())
        tensors = (*algorithm.weights, *algorithm.readout, *parameters)
        # A graph reads and writes where these tensors were when it was recorded.
        addresses = tuple(tensor.data_ptr() for tensor in tensors)
        filled = None if vectors is None else vectors.windows
        # What the recorded work depends on besides: dropout in `errors`, what is frozen, the neuron's constants.
        mode = self.layer.training, tuple(tensor.requires_grad for tensor in parameters), algorithm.neuron
        result: WindowGradients = self._replayed(*arguments, algorithm.rule, self.options, addresses, filled, mode)
        kept: WindowGradients = copied(result)  # the next replay overwrites them
        return kept

    def _window_gradients(
        self,
        window: Window,
        following: Window | None,
        state: LSTMState,
        vectors: EligibilityVectors | None,
        with_inputs: bool,
        *key: Any,
    ) -> WindowGradients:
        past = None if vectors is None else vectors.past
        return window_gradients(self._algorithm(), window, following, state, past, with_inputs)

    def _loss(self, inputs: Tensor, gradients: WindowGradients) -> WindowLoss:
        algorithm = self._algorithm()
        pairs = list(zip(algorithm.readout, gradients.readout, strict=True))
        if self.layer.rule.plastic:
            pairs += zip(algorithm.weights, gradients.weights, strict=True)
        if self.predictor is not None and gradients.predictor:
            pairs += zip(learned(self.predictor), gradients.predictor, strict=True)
        if gradients.inputs is not None:
            pairs.append((inputs, gradients.inputs.to(inputs.dtype)))
        value = gradients.error + gradients.prediction_error
        loss = deliver(value, self.layer, pairs)
        return WindowLoss(loss, gradients.state_after, gradients.error, gradients.prediction_error)
