"""Feedback: the matrix that carries the readout's error to the neurons (Eq. 42, 46, 49)."""

import dataclasses
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError, check_number, shown, written
from repro.eprop.kernels.dispatch import exponential_filter

KINDS = ("symmetric", "random", "global")
GOLDEN = 0x9E3779B97F4A7C15  # an odd number: it spreads the windows of one seed over all seeds


@dataclasses.dataclass(frozen=True)
class Feedback:
    """Where B comes from in L_j^t = sum over t' >= t of kappa^(t' - t) sum_k B_jk dE/dy_k^t'.

    `kind` is "symmetric" (W_out transposed, Eq. 46: the true gradient), "random" (Eq. 49, drawn once), or "global" (all
    entries 1 / sqrt(n)). Random B has `variance` "one_over_n", or "one". With `window_ms` above 0 a random B is drawn
    for every window of a trial, the same sequence for all trials; `time` then chooses B by the time t' of the "error"
    or by the time "slice" t that receives it.
    """

    kind: str = "symmetric"
    window_ms: float = 0.0
    time: str = "error"
    variance: str = "one_over_n"

    def __post_init__(self) -> None:
        """Raises UsageError for values that are unknown or have no meaning together."""
        for name, value, known in (
            ("feedback", self.kind, KINDS),
            ("time", self.time, ("error", "slice")),
            ("variance", self.variance, ("one_over_n", "one")),
        ):
            if value not in known:
                raise UsageError(f"{name}={value!r}: it is one of {', '.join(known)}")
        check_number("Feedback", zero=True, window_ms=self.window_ms)
        if self.window_ms and self.kind != "random":
            raise UsageError(f"window_ms draws random feedback anew; feedback {self.kind!r} has none")

    def __repr__(self) -> str:
        return written(self, shows_first=True)

    @staticmethod
    def from_state(values: dict[str, Any]) -> "Feedback":
        """The feedback of a checkpoint's values. Raises UsageError where they do not fit."""
        try:
            return Feedback(**values)
        except TypeError as error:
            raise UsageError(f"the checkpoint's values of the feedback do not fit it: {error}") from None

    def window_steps(self, dt_ms: float) -> int:
        """Steps of a window; 0 where one matrix is kept."""
        return round(self.window_ms / dt_ms)

    def draw(self, seed: int, windows: int, n: int, n_out: int) -> Tensor:
        """B [window, neuron, readout]: a function of seed and window alone; of no elements for "symmetric"."""
        single: Any = {"dtype": torch.float32, "device": "cpu"}  # from one seed torch draws other numbers in float64
        if self.kind == "symmetric":
            return torch.empty(0)
        if self.kind == "global":
            return torch.full((1, n, n_out), n**-0.5, **single)
        seeds = [(seed + GOLDEN * window) % 2**63 for window in range(windows)]
        drawn = [torch.randn(n, n_out, generator=torch.Generator().manual_seed(s), **single) for s in seeds]
        return torch.stack(drawn) / (1.0 if self.variance == "one" else n**0.5)

    @property
    def changes(self) -> bool:
        """Whether B changes during a trial."""
        return self.window_ms > 0


def feedback_of(value: "Feedback | str") -> Feedback:
    """A feedback by its kind, or as it is. Raises UsageError for anything else."""
    if isinstance(value, Feedback):
        return value
    if not isinstance(value, str):
        raise UsageError(f"feedback={shown(value)}: it is a Feedback, or one of {', '.join(KINDS)}")
    return Feedback(value)


class Factored(NamedTuple):
    """A learning signal as what it is made of: at each step `onto` [neuron, readout] times `error` [batch, time or
    frame, readout]. A frame lasts for `steps_each` steps, and its error is shared among them."""

    error: Tensor
    onto: Tensor
    steps_each: int = 1

    def dense(self) -> Tensor:
        """The learning signal [batch, time, neuron]."""
        return over_steps(project(self.error, self.onto[None]), self.steps_each)


def over_steps(by_frame: Tensor, steps_each: int) -> Tensor:
    """The transpose of a mean over frames: [batch, frame, ...] -> [batch, time, ...], time first in memory."""
    if steps_each == 1:
        return by_frame
    return (by_frame / steps_each).transpose(0, 1).repeat_interleave(steps_each, 0).transpose(0, 1)


def project(error: Tensor, onto: Tensor, window_steps: int = 0, first_step: int = 0) -> Tensor:
    """B error at each step [batch, time, neuron], of an error [batch, time, readout]; time comes first in memory.

    `onto` is B [window, neuron, readout]; of one window unless B changes every `window_steps`.
    """
    onto = onto.to(error.dtype)
    if onto.shape[0] == 1:
        return (error.transpose(0, 1).contiguous() @ onto[0].T).transpose(0, 1)
    window = torch.arange(first_step, first_step + error.shape[1], device=error.device) // window_steps
    return torch.einsum("btk,tjk->btj", error, onto[window])


def filtered(error: Tensor, kappa: float, scale: float) -> Tensor:
    """dE/d(W_out z) from dE/dy = `error`, [batch, time, ...]: scale times the reverse kappa filter (Eq. 45)."""
    return scaled(exponential_filter(error, kappa, reverse=True), scale)


def scaled(x: Tensor, scale: float) -> Tensor:
    """x times a number, without a pass over memory if that is 1."""
    return x if scale == 1 else scale * x


def windows_of(steps: int, window_steps: int) -> int:
    """How many windows a trial has."""
    return math.ceil(steps / window_steps) if window_steps else 1
