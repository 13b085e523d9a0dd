"""Leaky readout neurons (Eq. 41, 48); the backward pass sends the error to the neurons through the feedback."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError, check_number, check_whole
from repro.eprop.kernels import events
from repro.eprop.kernels.dispatch import exponential_filter
from repro.eprop.kernels.events import Spikes
from repro.eprop.kernels.first_order import first_order
from repro.eprop.kernels.padding import cheapest, check_lengths, mask_
from repro.eprop.layers.rule_layer import full_precision
from repro.eprop.rules.rate import shares_updates
from repro.eprop.rules.signals import Factored, Feedback, feedback_of, filtered, over_steps, project, scaled, windows_of


class Readout(nn.Module):
    """y^t = kappa y^(t-1) + scale W_out z^t, plus a bias if asked for (Eq. 41); kappa = exp(-dt / tau_out).

    `w_out` [readout, neuron] is drawn from N(0, 1) / sqrt(neuron) with `generator`, or torch's own. The bias `b_out`
    is added after the filter (as the paper's authors do); inside it, as Eq. 41 prints it, it would come to
    b / (1 - kappa). `one_minus_kappa` sets scale = 1 - kappa in place of 1, so that tau_out changes how long the
    readout remembers and not how large it is. With `frame_steps` above 1, z is averaged over that many steps, a frame,
    and y has one value a frame; tau_out / dt then counts frames.

    The backward pass gives w_out its true gradient (Eq. 48). The neurons receive the error through `feedback`:
    "symmetric" (the true gradient, the default), "random" (e-prop 1), "global", or a `Feedback`. It may be set at any
    time, and takes effect in the next backward pass. Random matrices follow from `feedback_seed` alone, which is drawn
    at construction; processes that train together (torch.distributed) all use that of rank 0. Feedback and seed are
    saved in checkpoints.
    """

    _drawn: Tensor | None  # B: no buffer, since it follows from the seed, and an average would not

    def __init__(
        self,
        n: int,
        n_out: int,
        tau_out_ms: float = 20.0,
        *,
        feedback: Feedback | str = "symmetric",
        one_minus_kappa: bool = False,
        bias: bool = False,
        frame_steps: int = 1,
        dt_ms: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_whole("Readout", n=n, n_out=n_out, frame_steps=frame_steps)
        check_number("Readout", tau_out_ms=tau_out_ms, dt_ms=dt_ms)
        self.n, self.n_out, self.tau_out_ms, self.dt_ms, self.frame_steps = n, n_out, tau_out_ms, dt_ms, frame_steps
        self.kappa = math.exp(-dt_ms / tau_out_ms)
        self.scale = 1 - self.kappa if one_minus_kappa else 1.0
        self.w_out = nn.Parameter(torch.randn(n_out, n, generator=generator) / n**0.5)
        self.b_out = nn.Parameter(torch.zeros(n_out)) if bias else None
        source = torch.device("cpu") if generator is None else generator.device
        self.seed_feedback(int(torch.randint(2**62, (), generator=generator, device=source)))
        self.feedback = feedback

    @property
    def feedback(self) -> Feedback:
        """Where the matrix B comes from that carries the error to the neurons."""
        return self._feedback

    @feedback.setter
    def feedback(self, feedback: Feedback | str) -> None:
        feedback = feedback_of(feedback)
        if feedback.changes and self.frame_steps > 1:
            raise UsageError("feedback that changes during a trial is not defined for a readout of frames")
        if feedback.changes and not feedback.window_steps(self.dt_ms):
            raise UsageError(f"window_ms={feedback.window_ms}: a window has to last for a step of {self.dt_ms} ms")
        self._feedback, self._drawn = feedback, None

    def seed_feedback(self, seed: int) -> None:
        """Set the seed of random feedback."""
        self.feedback_seed, self._seed_is_shared = int(seed) % 2**63, False
        self._drawn = None

    def prepare(self, steps: int) -> None:
        """Draw random feedback for trials of so many steps ahead of a backward pass."""
        if self.feedback.kind == "random" and torch.is_grad_enabled():
            self.feedback_weights(steps)

    def feedback_weights(self, steps: int, w_out: Tensor | None = None) -> Tensor:
        """B [window, neuron, readout] for trials of so many steps; one window unless it changes. `w_out` of the forward
        pass in question; the present one if None. Processes that train together draw it together."""
        if self.feedback.kind == "symmetric":
            return (self.w_out if w_out is None else w_out).detach().T[None]
        self._share_seed()
        windows, drawn = windows_of(steps, self.feedback.window_steps(self.dt_ms)), self._drawn
        if drawn is None or len(drawn) < windows:
            drawn = self.feedback.draw(self.feedback_seed, windows, self.n, self.n_out)
        self._drawn = drawn = drawn.to(self.w_out.device, self.w_out.dtype)
        return drawn[:windows]

    def _share_seed(self) -> None:
        """Take the seed of rank 0, once, where several processes train together."""
        if self._seed_is_shared or not shares_updates():
            return
        seed = torch.tensor(self.feedback_seed, device=self.w_out.device)
        torch.distributed.broadcast(seed, src=0)
        self.seed_feedback(int(seed))
        self._seed_is_shared = True

    def get_extra_state(self) -> dict[str, Any]:
        """The feedback and its seed, for a checkpoint."""
        return dataclasses.asdict(self.feedback) | {"seed": self.feedback_seed}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The feedback and the seed of a checkpoint. Raises UsageError where these do not fit."""
        values = dict(state)
        if "seed" not in values:
            raise UsageError("the checkpoint has no seed of the feedback: it is of an earlier version of the library")
        seed = values.pop("seed")
        self.feedback = Feedback.from_state(values)
        self.seed_feedback(seed)

    def extra_repr(self) -> str:
        """The line that print(module) shows."""
        return f"n={self.n}, n_out={self.n_out}, tau_out_ms={self.tau_out_ms}, feedback={self.feedback}"

    @torch.compiler.disable
    def forward(self, z: Spikes, y_before: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Readouts y [batch, time or frame, readout] of outputs z [batch, time, neuron].

        `y_before` [batch, readout] is y before the first step, without bias; zero if None, and constant for the
        backward pass. `lengths` [batch] in steps: y is zero beyond them. Raises UsageError for shapes or precisions
        that do not fit, and where the steps of a trial (or of any length) are not whole frames.
        """
        events.check_kind(z, "the readout's input")
        self.check(z.shape, lengths, y_before)
        self.prepare(z.shape[1])
        passed = ReadoutPass(self, [z if not isinstance(z, Tensor) else cheapest(z)], lengths, y_before)
        y: Tensor = _Readout.apply(passed, z if isinstance(z, Tensor) else None, self.w_out, self.b_out)
        return y

    def check(self, shape: tuple[int, ...], lengths: Tensor | None, y_before: Tensor | None = None) -> None:
        """Raises UsageError where z of this shape, lengths or y_before do not fit."""
        if len(shape) != 3 or shape[2] != self.n or not shape[1]:
            raise UsageError(
                f"the readout's input has the shape {list(shape)}: it reads [batch, time, {self.n}], time above 0"
            )
        check_lengths(lengths, *shape[:2])
        if y_before is not None and not isinstance(y_before, Tensor):
            raise UsageError(f"y_before is a {type(y_before).__name__}: it is a tensor [{shape[0]}, {self.n_out}]")
        if y_before is not None and y_before.shape != (shape[0], self.n_out):
            raise UsageError(f"y_before has the shape {list(y_before.shape)}: it is [{shape[0]}, {self.n_out}]")
        if shape[1] % self.frame_steps or (lengths is not None and bool((lengths % self.frame_steps).any())):
            raise UsageError(f"trials and their lengths have to be multiples of frame_steps={self.frame_steps} steps")


def no_change(series: Tensor, in_frames: bool) -> Tensor:
    """The order of time of a layer that reads a trial from its beginning."""
    return series


class ReadoutPass:
    """One forward pass of a readout.

    `spikes` are outputs [batch, time, neuron] of one or more layers, whose neurons follow each other in w_out. Each
    layer may read the trial in another order: `turns[k](series, in_frames)` turns a series [batch, time or frame, ...]
    from the trial's order into the layer's and back.
    """

    def __init__(
        self,
        readout: Readout,
        spikes: Sequence[Spikes],
        lengths: Tensor | None,
        y_before: Tensor | None = None,
        turns: Sequence[Callable[[Tensor, bool], Tensor]] = (no_change,),
    ) -> None:
        self.readout, self.spikes, self.turns = readout, list(spikes), list(turns)
        self.y_before, self.steps = y_before, spikes[0].shape[1]
        self.lengths = None if lengths is None else lengths // readout.frame_steps
        stops = torch.tensor([0, *(z.shape[2] for z in spikes)]).cumsum(0).tolist()
        self.rows = [slice(*pair) for pair in itertools.pairwise(stops)]

    def forward(self, w_out: Tensor, b_out: Tensor | None) -> Tensor:
        """y [batch, time or frame, readout]."""
        readout, w_out = self.readout, full_precision(w_out, "w_out")
        drives = [
            turn(self._frames(scaled(events.linear(z, w_out[:, rows]), readout.scale)), readout.frame_steps > 1)
            for z, rows, turn in zip(self.spikes, self.rows, self.turns, strict=True)
        ]
        drive = functools.reduce(torch.add, drives)
        if self.y_before is not None:
            first = drive[:, :1] + readout.kappa * self.y_before.detach()[:, None]
            drive = torch.cat([first, drive[:, 1:]], dim=1)
        y = exponential_filter(drive, readout.kappa)
        return mask_(y if b_out is None else y + b_out.detach(), self.lengths)

    def backward(
        self, error: Tensor, w_out: Tensor, wants_signal: bool = True
    ) -> tuple[Tensor, Tensor, list[Tensor | Factored]]:
        """Gradients of w_out and b_out, and the learning signal of each layer (if asked for), [batch, time, neuron] or
        in factors.

        `error` is dE/dy [batch, time or frame, readout]; `w_out` that of the forward pass.
        """
        readout, feedback = self.readout, self.readout.feedback
        error = error.to(w_out.dtype)
        error = error if self.lengths is None else mask_(error.clone(), self.lengths)
        by_drive = filtered(error, readout.kappa, readout.scale)
        late = feedback.changes and feedback.time == "error"  # the filter comes after the projection
        onto = readout.feedback_weights(self.steps, w_out) if wants_signal else None
        by_w_out: list[Tensor] = []
        signals: list[Tensor | Factored] = []
        for z, rows, turn in zip(self.spikes, self.rows, self.turns, strict=True):
            turned = turn(by_drive, readout.frame_steps > 1)
            by_w_out.append(events.outer(over_steps(turned, readout.frame_steps), z))
            if onto is None:
                continue
            if not feedback.changes:
                signals.append(Factored(turned, onto[0, rows], readout.frame_steps))
                continue
            # Windows count from the trial's beginning, whichever way a layer reads it.
            projected = project(error if late else by_drive, onto[:, rows], feedback.window_steps(readout.dt_ms))
            signals.append(turn(filtered(projected, readout.kappa, readout.scale) if late else projected, False))
        return torch.cat(by_w_out, dim=1), error.sum(dim=(0, 1)), signals

    def _frames(self, drive: Tensor) -> Tensor:
        """Means over frames: [batch, time, ...] -> [batch, frame, ...]; time comes first in memory."""
        width = self.readout.frame_steps
        return drive if width == 1 else drive.transpose(0, 1).unflatten(0, (-1, width)).mean(dim=1).transpose(0, 1)


class _Readout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, passed: ReadoutPass, z: Tensor | None, w_out: Tensor, b_out: Tensor | None) -> Tensor:
        ctx.passed = passed
        ctx.save_for_backward(z, w_out)
        with torch.autocast(w_out.device.type, enabled=False):
            return passed.forward(w_out, b_out)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        z, w_out = ctx.saved_tensors
        by_w_out, by_b_out, signals = ctx.passed.backward(grads[0], w_out, ctx.needs_input_grad[1])
        signal = None
        if signals and z is not None:
            signal = (signals[0].dense() if isinstance(signals[0], Factored) else signals[0]).to(z.dtype)
        return None, signal, by_w_out, by_b_out if ctx.needs_input_grad[3] else None
