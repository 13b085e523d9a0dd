"""Learning signals of e-prop 1: what each neuron hears of the readout error (Eq. 42, 49)."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from repro.eprop.kernels.dispatch import exponential_filter
from repro.readout import Readout

SIGNALS = ("random", "symmetric", "global")


@dataclasses.dataclass(frozen=True)
class BroadcastSignal:
    """L_j^t = sum over t' >= t of kappa^(t' - t) sum_k B_jk error_k^t', error = dE/dy.

    `kind` is where B comes from: "random" (Eq. 49; of variance 1/n, or 1 if `unit_variance`), "symmetric" (W_out
    transposed, Eq. 46), "global" (all entries 1 / sqrt(n)). With `window_steps` > 0 a random B is drawn for every
    window of a trial; the same sequence serves all trials. `by_slice` is a reading of that: B by the time slice t that
    hears, in place of the time t' of the error.
    """

    kind: str
    window_steps: int = 0
    by_slice: bool = False
    unit_variance: bool = False

    def draw(self, steps: int, n_rec: int, n_out: int, generator: torch.Generator) -> Tensor:
        """Feedback weights B [window, neuron, readout], one window unless resampled; empty for "symmetric"."""
        if self.kind == "symmetric":
            return torch.empty(0)
        if self.kind == "global":
            return torch.full((1, n_rec, n_out), n_rec**-0.5)
        windows = -(-steps // self.window_steps) if self.window_steps else 1
        drawn = torch.randn(windows, n_rec, n_out, generator=generator)
        return drawn if self.unit_variance else drawn / n_rec**0.5

    def project(self, error: Tensor, weights: Tensor, w_out: Tensor, first_step: int = 0) -> Tensor:
        """B error of each step, [batch, time, neuron], from `error` [batch, time, readout]; no filter yet."""
        if self.kind == "symmetric" or weights.shape[0] == 1:
            onto = w_out.detach() if self.kind == "symmetric" else weights[0].T
            # In memory time comes first, as the kernels want.
            return (error.transpose(0, 1).contiguous() @ onto.to(error.dtype)).transpose(0, 1)
        weights = weights.to(error.dtype)
        window = torch.arange(first_step, first_step + error.shape[1], device=error.device) // self.window_steps
        return torch.einsum("btk,tjk->btj", error, weights[window])

    def __call__(
        self,
        error: Tensor,
        weights: Tensor,
        w_out: Tensor,
        readout: Readout,
        sees: Callable[[Tensor], Tensor] = lambda series: series,
    ) -> Tensor:
        """The learning signal L [batch, time, neuron] of a whole trial, for the factored evaluator.

        `sees` turns a series [batch, time or frame, ...] to the order in which the neurons read the trial; not with
        feedback that changes in time.
        """
        fed_back = weights.shape[0] == 1 or self.kind == "symmetric"
        if fed_back or self.by_slice:  # the filter commutes with B, or comes before it
            error = readout.scale * exponential_filter(error, readout.kappa, reverse=True)
            return readout.to_steps(self.project(sees(error), weights, w_out))
        return readout.scale * exponential_filter(self.project(error, weights, w_out), readout.kappa, reverse=True)
