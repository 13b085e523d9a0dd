"""An LSTM layer whose backward pass is a learning rule."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError, check_whole, shown
from repro.eprop.kernels.events import check_kind
from repro.eprop.kernels.first_order import first_order
from repro.eprop.layers.eligibility_vectors import EligibilityVectors
from repro.eprop.layers.rule_layer import RuleLayer, full_precision
from repro.eprop.neurons.lstm import GATES, LSTM, LSTMJacobians, LSTMState
from repro.eprop.rules import windows
from repro.eprop.rules.rule import BPTT, Rule, WindowRule
from repro.eprop.rules.windows import BoundaryGradient, LSTMWeights, WindowBackward


class LSTMLayer(RuleLayer):
    """LSTM units with all-to-all recurrent weights, in windows: x [batch, time, input] -> h [batch, time, unit].

    Inputs act in the step in which they arrive, outputs one step later (Eq. 31-36). The backward pass receives dE/dh
    with later outputs held fixed, which is the learning signal, and delivers the gradients of `rule`: `BPTT()` (exact
    inside one call), `EProp()` (e-prop 1), `EProp3()` (BPTT inside a call, eligibility vectors across calls), both also
    with trace="truncated", or `Frozen()` (weights receive nothing). The gradient of x is dE/dI of the same recursion
    times w_in. No gradient passes from one call to the one before it but by `boundary`.

    Parameters: `w_in` [4 unit, input], `w_rec` [4 unit, unit], drawn in this order from U(-scale, scale), and `bias`
    [4 unit], zeros; the rows are those of the input gate, forget gate, candidate and output gate. `scale` is 1 /
    sqrt(unit) by default. Both matrices are transposed in memory (see `LSTMWeights`): what wants contiguous parameters
    (`torch.optim.LBFGS`, safetensors) needs copies. `rule` may be assigned at any time, and is saved with the weights.

    Training in windows of a sequence:

        vectors, state = layer.eligibility_vectors(batch), None
        for x, target in windows:
            h, state = layer(x, state, eligibility_vectors=vectors, return_state=True)
            loss_function(readout(h), target).backward()  # advances the vectors
            optimizer.step()
            optimizer.zero_grad()

    Raises UsageError for a rule that is not defined for LSTM layers, and for weights in reduced precision.
    """

    def __init__(
        self,
        neuron: LSTM,
        n_in: int,
        n: int,
        *,
        rule: Rule | None = None,
        scale: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if not isinstance(neuron, LSTM):
            raise UsageError(f"LSTMLayer(neuron={shown(neuron)}): it is LSTM(); other neurons make a RecurrentLayer")
        check_whole("LSTMLayer", n_in=n_in, n=n)
        super().__init__(BPTT() if rule is None else rule)
        scale = n**-0.5 if scale is None else scale

        def draw(*shape: int) -> nn.Parameter:
            drawn = scale * (2 * torch.rand(*shape, generator=generator) - 1)
            return nn.Parameter(drawn.T.contiguous().T)  # see LSTMWeights

        self.neuron, self.n_in, self.n = neuron, n_in, n
        self.w_in, self.w_rec = draw(len(GATES) * n, n_in), draw(len(GATES) * n, n)
        self.bias = nn.Parameter(torch.zeros(len(GATES) * n))

    def check_rule(self, rule: Rule) -> None:
        """Raises UsageError for a rule that is not defined for LSTM layers."""
        rule.window_rule()

    @property
    def weights(self) -> LSTMWeights:
        """The three parameters."""
        return LSTMWeights(self.w_in, self.w_rec, self.bias)

    def initial_state(self, batch: int) -> LSTMState:
        """The state before a sequence: zeros, each [batch, unit]."""
        return self.neuron.initial_state(batch, self.n, self.w_in.detach())

    def eligibility_vectors(self, batch: int) -> EligibilityVectors:
        """New eligibility vectors for sequences that begin: give them to every call of these sequences.

        Rules that carry none (`BPTT()`, `Frozen()`, trace="truncated") leave them as they are.
        """
        return EligibilityVectors(windows.no_history(self.weights, batch))

    @torch.compiler.disable  # vectors advance in the backward pass, which a compiler cannot know
    def forward(
        self,
        x: Tensor,
        state: LSTMState | None = None,
        *,
        eligibility_vectors: EligibilityVectors | None = None,
        boundary: BoundaryGradient | None = None,
        return_state: bool = False,
        lengths: Any = None,
    ) -> Any:
        """Outputs h [batch, time, unit] of inputs x [batch, time, input]; (h, LSTMState) with `return_state`.

        `state`: that in which the call begins; zeros if not given. The state returned is detached.
        `eligibility_vectors`: those of `eligibility_vectors(batch)`. The backward pass of the call advances them in
        place; the call itself does where no gradient is recorded. Without them vectors begin anew in every call.
        `boundary`: dE/dh of the last output and dE/dc of the last cell state that come from later steps, in the units
        of what `backward` is called on; zeros if not given. With vectors, the next window adds what `d_c` means to
        the weights.

        Computed in the precision of the weights, also under autocast. Raises UsageError for weights in reduced
        precision, wrong shapes, a state or boundary that requires a gradient, vectors that wait for a backward pass, a
        boundary where the rule does not look ahead, and for `lengths`: pad shorter sequences at the end and leave the
        padding out of the loss.
        """
        if lengths is not None:
            raise UsageError("an LSTMLayer takes no lengths: pad at the end, and leave the padding out of the loss")
        if boundary is not None and not self.rule.window_rule().recurrence:
            raise UsageError(f"{self.rule} does not look ahead: leave out boundary, or give EProp3() or BPTT()")
        self.check(x, state, boundary, eligibility_vectors)
        state = state or self.initial_state(len(x))
        h, after = self._window(x, state, boundary or windows.zero_boundary(state), eligibility_vectors)
        return (h, after) if return_state else h

    def _window(
        self, x: Tensor, state: LSTMState, boundary: BoundaryGradient, vectors: EligibilityVectors | None
    ) -> tuple[Tensor, LSTMState]:
        rule = self.rule.window_rule()
        vectors = vectors if rule.vectors == "carried" else None
        weights = self.weights if self.rule.plastic else LSTMWeights(*(w.detach() for w in self.weights))
        records = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights))
        call = _Call(self, rule, state, boundary, vectors, records)
        with torch.autocast(self.w_in.device.type, enabled=False):
            h, c_after, h_after = _Window.apply(x.to(self.w_in.dtype), *weights, call)
        if vectors is not None and records:
            vectors.wait_for(call)
        return h, LSTMState(c_after, h_after)

    def check(
        self,
        x: Tensor,
        state: LSTMState | None,
        boundary: BoundaryGradient | None,
        vectors: EligibilityVectors | None,
    ) -> None:
        """Raises UsageError for arguments that do not fit the layer (see `forward`)."""
        for name, weight in self.named_parameters():
            full_precision(weight, name)
        check_kind(x, "x", events=False)
        if x.dim() != 3 or x.shape[2] != self.n_in or not x.shape[1]:
            raise UsageError(f"x is {list(x.shape)}: it must be [batch, time, {self.n_in}], with one step or more")
        for name, pair, kind in (("state", state, LSTMState), ("boundary", boundary, BoundaryGradient)):
            if pair is not None and not isinstance(pair, kind):
                article = "an" if kind is LSTMState else "a"
                raise UsageError(f"{name} is a {type(pair).__name__}: it is {article} {kind.__name__}")
            if pair is not None and any(part.shape != (len(x), self.n) for part in pair):
                raise UsageError(f"{name} is {[list(p.shape) for p in pair]}: each part must be [{len(x)}, {self.n}]")
            if pair is not None and any(part.requires_grad for part in pair):
                raise UsageError(f"no gradient passes into {name}: detach it, or give the layer the whole sequence")
        if vectors is not None:
            vectors.check(windows.no_eligibility_vectors(self.weights, 0), len(x))

    def extra_repr(self) -> str:
        """For `print(layer)`."""
        return f"{self.neuron}, n_in={self.n_in}, n={self.n}, rule={self.rule}"


class _Call(NamedTuple):
    """What a call is given beside the tensors that receive a gradient."""

    layer: LSTMLayer
    rule: WindowRule
    state: LSTMState
    boundary: BoundaryGradient
    vectors: EligibilityVectors | None
    records: bool  # whether a backward pass will come


class _Window(torch.autograd.Function):
    """A window as one operation: inputs and weights -> outputs, and the state after it."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w_in: Tensor, w_rec: Tensor, bias: Tensor, call: _Call
    ) -> tuple[Tensor, Tensor, Tensor]:
        trajectory = windows.forward_window(call.layer.neuron, LSTMWeights(w_in, w_rec, bias), x, call.state)
        if call.records:
            ctx.call = call
            ctx.save_for_backward(w_in, w_rec, *call.boundary, trajectory.presynaptic, *trajectory.jacobians)
        elif call.vectors is not None:
            zero, series = torch.zeros_like(call.state.c), (trajectory.presynaptic, trajectory.jacobians)
            with call.vectors.advancing(x.shape[1]) as past:
                windows.advance_eligibility_vectors(past, *series, zero, zero)
        ctx.mark_non_differentiable(*trajectory.state_after)
        return trajectory.h.transpose(0, 1).contiguous(), *trajectory.state_after

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and of the weights by the rule; in full precision, without a tape."""
        call: _Call = ctx.call
        if call.vectors is not None:
            call.vectors.release(call)
        w_in, w_rec, d_h, d_c, presynaptic, *jacobians = ctx.saved_tensors
        local, boundary = LSTMJacobians(*jacobians), BoundaryGradient(d_h, d_c)
        back = windows.backward_window(w_rec, local, grads[0].transpose(0, 1), boundary, call.rule)
        d_x = windows.input_gradient(back, w_in) if ctx.needs_input_grad[0] else None
        d_weights: tuple[Tensor | None, ...] = (None, None, None)
        if any(ctx.needs_input_grad[1:4]) or call.vectors is not None:
            total = _total(call.vectors, presynaptic, local, back, boundary)
            d_weights = tuple(windows.split_gradient(total, w_in.shape[1]))
        call.layer.backward_passes += any(ctx.needs_input_grad[1:4])
        return d_x, *d_weights, None


def _total(
    vectors: EligibilityVectors | None,
    presynaptic: Tensor,
    jacobians: LSTMJacobians,
    backward: WindowBackward,
    boundary: BoundaryGradient,
) -> Tensor:
    """The gradient of all weights; advances the vectors."""
    if vectors is None:
        return windows.weight_gradient(presynaptic, jacobians, backward, boundary, None)
    with vectors.advancing(len(presynaptic)) as past:
        return windows.weight_gradient(presynaptic, jacobians, backward, boundary, past)
