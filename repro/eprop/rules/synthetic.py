"""Synthetic gradients (Eq. 64-66), and the gradients of one window by Algorithm 1, as a pure function of tensors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.kernels.cuda_graph import map_tensors
from repro.eprop.kernels.history import History
from repro.eprop.neurons.local_jacobians import leaf_of
from repro.eprop.neurons.lstm import LSTM, LSTMJacobians, LSTMState
from repro.eprop.rules import windows
from repro.eprop.rules.rule import WindowRule
from repro.eprop.rules.windows import BoundaryGradient, LSTMWeights, WindowBackward, WindowTrajectory

BPTT_INSIDE = WindowRule("none", recurrence=True)


class SyntheticGradient(nn.Module):
    """SG(z, Psi): predicts dE/dc^(t+1) of every unit, [batch, unit], from the outputs h^t; one hidden layer of ReLU.

    The last layer begins at zero, so that learning begins as truncated BPTT does. E is the error of one sequence:
    neither the prediction nor its target is divided by the batch size.
    """

    def __init__(self, n: int, hidden: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(hidden, n, generator=generator) * (2 / n) ** 0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.out, self.out_bias = nn.Parameter(torch.zeros(n, hidden)), nn.Parameter(torch.zeros(n))

    def forward(self, h: Tensor) -> Tensor:
        """The prediction [batch, unit] from outputs h [batch, unit]."""
        active = nn.functional.linear(h, self.hidden, self.hidden_bias).relu()
        return nn.functional.linear(active, self.out, self.out_bias)


def learned(predictor: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen."""
    return [parameter for parameter in predictor.parameters() if parameter.requires_grad]


class Window(NamedTuple):
    """Consecutive steps of a batch of sequences: inputs [batch, step, input]; `target`, all else that their errors
    depend on, a tensor or nested tuples of tensors and plain values; the input of the step after them [batch, input],
    None at the end of the sequences."""

    inputs: Tensor
    target: Any
    next_input: Tensor | None


Errors = Callable[[Tensor, Any], Tensor]


class Algorithm1Options(NamedTuple):
    """What Algorithm 1 leaves open.

    `factor`: eta_SG. `into_network`: whether dE_SG/dtheta goes into the network (line 6), through the last outputs of
    the window. `mean_over_units`: whether E_SG is the mean over units (the sentence above Eq. 66) or their sum (as
    printed). `whole_at_input`: whether the inputs, which have no eligibility vectors, receive the whole boundary
    gradient or leave out its part through the units' own cells.
    """

    factor: float = 0.1
    into_network: bool = True
    mean_over_units: bool = False
    whole_at_input: bool = True


AS_PRINTED = Algorithm1Options()


class Algorithm1(NamedTuple):
    """What stays the same from window to window.

    `errors(h, target)`: the errors of outputs h [batch, step, unit], added up over all sequences; differentiable with
    respect to h and to the tensors `readout`, whose gradients are wanted. `predictor`: None for boundaries of zero.
    """

    neuron: LSTM
    weights: LSTMWeights
    rule: WindowRule
    errors: Errors
    readout: tuple[Tensor, ...] = ()
    predictor: SyntheticGradient | None = None
    options: Algorithm1Options = AS_PRINTED


class WindowGradients(NamedTuple):
    """The gradients of one window, all means over the batch: of the LSTM weights, of the predictor's parameters in
    their order (none where nothing was predicted), of the readout tensors, of the inputs [batch, step, input] if
    wanted; the errors of the window and E_SG (Eq. 66), per sequence; the state after the window."""

    weights: LSTMWeights
    predictor: tuple[Tensor, ...]  # of the parameters that learn
    readout: tuple[Tensor, ...]
    inputs: Tensor | None
    error: Tensor
    prediction_error: Tensor
    state_after: LSTMState


class _OfErrors(NamedTuple):
    d_h: Tensor  # [step, batch, unit]
    readout: tuple[Tensor, ...]
    error: Tensor


class _Predicted(NamedTuple):
    boundary: BoundaryGradient
    gradients: tuple[Tensor, ...]
    d_h: Tensor  # dE_SG/dh of the last outputs [batch, unit]
    error: Tensor


def window_gradients(
    algorithm: Algorithm1,
    window: Window,
    following: Window | None,
    state: LSTMState,
    vectors: Tensor | History | None = None,
    with_inputs: bool = True,
) -> WindowGradients:
    """One window of Algorithm 1 from `state`; `vectors` [unit, batch, 3, pre] are advanced in place, or the history in
    their place is written to.

    `following` is the next window. It is simulated for dE/dc at its first step (lines 4 and 5), the target of the
    prediction, with the weights as they are; None at the end of the sequences, where the boundary is zero and nothing
    is predicted. No value depends on the data beyond its tensors: the function can be captured in a CUDA graph.
    """
    share = 1 / len(window.inputs)  # of a sequence in the means over the batch
    trajectory = windows.forward_window(algorithm.neuron, algorithm.weights, window.inputs, state)
    of_errors = _errors_of(algorithm, trajectory, window, algorithm.readout, share)
    predicted = _predict(algorithm, trajectory.state_after, following)
    boundary, d_h = predicted.boundary, of_errors.d_h
    if algorithm.predictor is not None and following is not None:
        boundary = BoundaryGradient(*(share * part for part in boundary))
        d_h = torch.cat([d_h[:-1], d_h[-1:] + share * predicted.d_h])
    presynaptic, jacobians = trajectory.presynaptic, trajectory.jacobians
    backward = windows.backward_window(algorithm.weights.w_rec, jacobians, d_h, boundary, algorithm.rule)
    total = windows.weight_gradient(presynaptic, jacobians, backward, boundary, vectors)
    return WindowGradients(
        windows.split_gradient(total, window.inputs.shape[2]),
        tuple(share * gradient for gradient in predicted.gradients),
        of_errors.readout,
        _input_gradient(algorithm, jacobians, d_h, boundary, backward) if with_inputs else None,
        share * of_errors.error,
        share * predicted.error,
        trajectory.state_after,
    )


def _input_gradient(
    algorithm: Algorithm1,
    jacobians: LSTMJacobians,
    d_h: Tensor,
    boundary: BoundaryGradient,
    backward: WindowBackward,
) -> Tensor:
    if not algorithm.options.whole_at_input:
        across = boundary._replace(d_c=torch.zeros_like(boundary.d_c))
        backward = windows.backward_window(algorithm.weights.w_rec, jacobians, d_h, across, algorithm.rule)
    return windows.input_gradient(backward, algorithm.weights.w_in)


def _errors_of(
    algorithm: Algorithm1,
    trajectory: WindowTrajectory,
    window: Window,
    readout: tuple[Tensor, ...] = (),
    share: float = 1.0,
) -> _OfErrors:
    """The errors of a window, and their derivatives with respect to its outputs and to `readout`, times `share`."""
    with torch.inference_mode(False), torch.enable_grad():
        h, error = on_tape(algorithm.errors, trajectory.h.transpose(0, 1), window.target)  # steps first in memory
        share_of = torch.full_like(error, share)
        d_h, *gradients = torch.autograd.grad(error, [h, *readout], share_of, materialize_grads=True)
    return _OfErrors(d_h.transpose(0, 1), tuple(gradients), error.detach())


def on_tape(errors: Errors, h: Tensor, target: Any) -> tuple[Tensor, Tensor]:
    """Outputs h as a leaf of autograd's tape, and their errors; to be called outside of inference mode, also with
    tensors that were made in it."""
    leaf = leaf_of(h)
    return leaf, errors(leaf, map_tensors(target, lambda x: x.clone() if x.is_inference() else x))


def _predict(algorithm: Algorithm1, state: LSTMState, following: Window | None) -> _Predicted:
    """The boundary predicted for the right edge, from the state there, and how far the prediction is from its target.

    The boundary goes through the Jacobians of the next step, which the following window's simulation has already.
    """
    predictor, options = algorithm.predictor, algorithm.options
    if predictor is None or following is None:
        boundary = windows.zero_boundary(state)
        return _Predicted(boundary, (), boundary.d_h, state.h.new_zeros(()))
    later = windows.forward_window(algorithm.neuron, algorithm.weights, following.inputs, state)
    target = _cell_gradient_at_first_step(algorithm, predictor, later, following)
    with torch.inference_mode(False), torch.enable_grad():
        h = leaf_of(state.h)
        prediction = predictor(h)
        squares = 0.5 * (prediction - target).square().sum()  # Eq. 66
        error = squares / state.h.shape[1] if options.mean_over_units else squares
        d_h, *gradients = torch.autograd.grad(error, [h, *learned(predictor)])
    first_step = LSTMJacobians(*(series[0] for series in later.jacobians))
    d_cell = options.factor * prediction.detach()
    boundary = windows.boundary_from_local(algorithm.weights.w_rec, first_step, d_cell)
    d_h = d_h if options.into_network else torch.zeros_like(d_h)
    return _Predicted(boundary, tuple(gradients), d_h, error.detach())


@torch.no_grad()
def _cell_gradient_at_first_step(
    algorithm: Algorithm1, predictor: SyntheticGradient, trajectory: WindowTrajectory, window: Window
) -> Tensor:
    """dE/dc at the first step of a window, its own predicted boundary included [batch, unit]."""
    neuron, weights, after = algorithm.neuron, algorithm.weights, trajectory.state_after
    boundary = windows.zero_boundary(after)
    if window.next_input is not None:
        d_cell = algorithm.options.factor * predictor(after.h)
        boundary = windows.boundary_from_prediction(neuron, weights, after, window.next_input, d_cell)
    d_h = _errors_of(algorithm, trajectory, window).d_h
    backward = windows.backward_window(weights.w_rec, trajectory.jacobians, d_h, boundary, BPTT_INSIDE)
    return backward.d_cell_first_step
