"""The eligibility vectors of an LSTM layer, carried from one window of a sequence to the next."""

from torch import Tensor

from repro.eprop.errors import UsageError


class EligibilityVectors:
    """Eligibility vectors epsilon (Eq. 37) at the right edge of the last window; made by a layer.

    `tensor` [unit, batch, 3, pre], with the gates that act on the cell state and pre = (input, unit, 1). The backward
    pass of a window advances it in place: so each forward pass is followed by its one backward pass, before the next.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self._window: object | None = None  # the call whose backward pass has not come

    def reset(self) -> None:
        """Zeros again, where other sequences begin. A backward pass that has not come is no longer waited for."""
        self.tensor.zero_()
        self._window = None

    def check(self, like: Tensor, batch: int) -> None:
        """Raises UsageError if a window waits for its backward pass, and for vectors of another layer or batch.

        `like` [unit, 0, 3, pre] has the layer's shape, dtype and device.
        """
        if self._window is not None:
            raise UsageError(
                "these eligibility vectors wait for the backward pass of the last window, which advances them: call "
                "backward() once after each forward pass, or reset() them"
            )
        n, _, *rest = like.shape
        here = [*self.tensor.shape], self.tensor.dtype, self.tensor.device
        wanted = [n, batch, *rest], like.dtype, like.device
        if here != wanted:
            raise UsageError(
                f"the eligibility vectors are {here}, where this layer and batch need {wanted}: make them by "
                "layer.eligibility_vectors(batch)"
            )

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
