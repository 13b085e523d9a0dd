"""The eligibility vectors of an LSTM layer, carried from one window of a sequence to the next."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels.history import History


class EligibilityVectors:
    """Eligibility vectors epsilon (Eq. 37) at the right edge of the last window; made by a layer.

    `tensor` [unit, batch, 3, pre], with the gates that act on the cell state and pre = (input, unit, 1). The backward
    pass of a window advances them in place: so each forward pass is followed by its one backward pass, before the next.

    `past` is what `repro.eprop.rules.windows` advances: the history of the sequences, from which gradients are made
    without vectors, as long as that is cheaper; the vectors from then on.
    """

    def __init__(self, history: History) -> None:
        self._beginning = history
        self._memory: Tensor | None = None  # of the vectors, once they were needed: CUDA graphs write there
        self.past: Tensor | History = history
        self._window: object | None = None  # the call whose backward pass has not come

    @property
    def tensor(self) -> Tensor:
        """The vectors; a copy, as long as they are a history."""
        return self.past if isinstance(self.past, Tensor) else self.past.vectors()

    @property
    def windows(self) -> tuple[int, ...] | None:
        """The steps of each window in the history; None where vectors are carried."""
        return None if isinstance(self.past, Tensor) else self.past.windows

    @contextlib.contextmanager
    def advancing(self, steps: int) -> Iterator[Tensor | History]:
        """`past`, for a block that advances it by a window of so many steps.

        The history becomes vectors before the block if it would become too long."""
        if not isinstance(self.past, Tensor) and not self.past.has_room(steps):
            self.past = self._memory = self.past.vectors(self._memory)
        yield self.past
        if not isinstance(self.past, Tensor):
            self.past = self.past.followed_by(steps)

    def reset(self) -> None:
        """Zeros again, where other sequences begin. A backward pass that has not come is no longer waited for."""
        self.past = self._beginning
        self._window = None

    def fits(self, like: Tensor, batch: int) -> bool:
        """Whether these are vectors of a layer and a batch (see `check`)."""
        return self._kind() == _kind(like, batch)

    def check(self, like: Tensor, batch: int) -> None:
        """Raises UsageError if a window waits for its backward pass, and for vectors of another layer or batch.

        `like` [unit, 0, 3, pre] has the layer's shape, dtype and device.
        """
        if self._window is not None:
            raise UsageError(
                "these eligibility vectors wait for the backward pass of the last window, which advances them: call "
                "backward() once after each forward pass, or reset() them"
            )
        if not self.fits(like, batch):
            raise UsageError(
                f"the eligibility vectors are {self._kind()}, where this layer and batch need {_kind(like, batch)}: "
                "make them by layer.eligibility_vectors(batch)"
            )

    def _kind(self) -> tuple[list[int], torch.dtype, torch.device]:
        rows, presynaptic = self._beginning.rows, self._beginning.presynaptic
        _, batch, gates, n = rows.shape
        return [n, batch, gates, len(presynaptic)], rows.dtype, rows.device

    def wait_for(self, window: object) -> None:
        """Note the forward pass of a window."""
        self._window = window

    def release(self, window: object) -> None:
        """Note its backward pass. Raises UsageError if it has been already, or if the vectors were reset since."""
        if self._window is not window:
            raise UsageError(
                "the eligibility vectors have passed this window already, or were reset: add up the losses of a window "
                "and call backward() once"
            )
        self._window = None

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint between two windows of a sequence: what the steps so far have left."""
        parts = (self.past,) if isinstance(self.past, Tensor) else self.past.filled()
        return {"windows": self.windows, "parts": [part.clone() for part in parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict()` was made, to the bit. Raises UsageError if it is of another layer or batch."""
        self.reset()
        windows, parts = state_dict["windows"], state_dict["parts"]
        if windows is None:
            self.past = self._memory = self._beginning.vectors(self._memory)
        else:
            self.past = self._beginning._replace(windows=tuple(windows))
        into = (self.past,) if isinstance(self.past, Tensor) else self.past.filled()
        if [part.shape for part in into] != [part.shape for part in parts]:
            self.reset()
            raise UsageError("these eligibility vectors were saved with another layer, batch or machine")
        for memory, part in zip(into, parts, strict=True):
            memory.copy_(part)


def _kind(like: Tensor, batch: int) -> tuple[list[int], torch.dtype, torch.device]:
    n, _, *rest = like.shape
    return [n, batch, *rest], like.dtype, like.device
