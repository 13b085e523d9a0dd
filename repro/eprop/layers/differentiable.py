"""A spiking layer whose outputs and pseudo-derivatives are on autograd's tape: for updates that are differentiated."""

import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError, check_whole
from repro.eprop.kernels.events import check_kind
from repro.eprop.layers.checks import check_state
from repro.eprop.neurons.differentiable import (
    DifferentiableInput,
    DifferentiableTrajectory,
    LayerWeights,
    check_differentiable,
    linear,
    simulate,
)
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.neuron import NeuronState

PRECISIONS = (torch.float32, torch.float64)


class DifferentiableLayer(nn.Module):
    """Neurons of one model, all to all without autapses, with a delay of one step (Eq. 20, 21, 25).

    Its backward pass is BPTT's, for functions of the outputs z and of the pseudo-derivatives h. An update of weights by
    e-prop is such a function (`repro.eprop.rules.one_shot.eprop_update`), so that the loss of a second pass, with
    updated weights, may be differentiated with respect to the initial ones. The layer has no rule: callbacks that set
    the learning rules of layers leave it as it is.

    Parameters are `w_in` [neuron, input] and `w_rec` [neuron, neuron] (None without `recurrent`), drawn from N(0, 1)
    over the root of the number of presynaptic cells, w_rec with a zero diagonal; autapses never count. `generator`
    draws them, torch's default one if None. Raises UsageError for other neurons than LIF and ALIF, and for those with
    a surrogate in place of the triangle, whose slope would not be known.
    """

    def __init__(
        self,
        neuron: IntegrateAndFire,
        n_in: int,
        n: int,
        *,
        recurrent: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_differentiable(neuron)
        check_whole("DifferentiableLayer", n_in=n_in, n=n)
        neuron.check_population(n)
        self.neuron = neuron
        self.w_in = nn.Parameter(torch.randn(n, n_in, generator=generator) / n_in**0.5)
        w_rec = (torch.randn(n, n, generator=generator) / n**0.5).fill_diagonal_(0)
        self.w_rec = nn.Parameter(w_rec) if recurrent else None

    @property
    def weights(self) -> LayerWeights:
        """Its parameters, as the weights that all trials share."""
        return LayerWeights(self.w_in, self.w_rec)

    def forward(
        self, x: DifferentiableInput, weights: LayerWeights | None = None, state: NeuronState | None = None
    ) -> DifferentiableTrajectory:
        """The trajectory of inputs x [batch, time, input], which act in the step in which they arrive (Eq. 11).

        x is an array, spikes as events, inputs that are held for some steps, or the trajectory of another such layer.
        `weights` replace the layer's own, each of them shared by all trials, [post, pre], or [batch, post, pre]; inputs
        of one trial are then those of all.
        `state` is that before the first step, rest if None. On the tape for the weights, and for x where it is an array
        or a trajectory, but not for the state: a trajectory's `after` is detached.

        Computes in the precision of the weights, float32 or float64, also under autocast. Raises UsageError for weights
        of any other precision, and for shapes that do not fit.
        """
        w_in, w_rec = self.weights if weights is None else weights
        check_precision(self, w_in, *([] if w_rec is None else [w_rec]))
        self._check_shapes(x, w_in, w_rec, state)
        with torch.autocast(x.device.type, enabled=False):
            return simulate(self.neuron, linear(x, w_in), w_rec, state)

    def _check_shapes(
        self, x: DifferentiableInput, w_in: Tensor, w_rec: Tensor | None, state: NeuronState | None
    ) -> None:
        if not isinstance(x, DifferentiableTrajectory):
            check_kind(x, "the input", held=True)
        n, n_in = self.w_in.shape
        if len(x.shape) != 3 or x.shape[1] < 1 or x.shape[2] != n_in:
            raise UsageError(f"inputs of the shape {tuple(x.shape)}: they are [batch, time, input] with {n_in} inputs")
        batch = len(w_in) if w_in.ndim == 3 and x.shape[0] == 1 else x.shape[0]
        if (w_rec is None) != (self.w_rec is None):
            raise UsageError("weights.w_rec is None for a layer without recurrence, and only there")
        for name, w, wanted in (("w_in", w_in, (n, n_in)), ("w_rec", w_rec, (n, n))):
            if w is not None and tuple(w.shape) not in (wanted, (batch, *wanted)):
                raise UsageError(
                    f"weights.{name} of the shape {tuple(w.shape)}: it is {wanted}, or {(batch, *wanted)} where each "
                    "trial has its own"
                )
        check_state(self.neuron, state, (batch, n))

    def extra_repr(self) -> str:
        """The neuron and the sizes, for print(layer)."""
        n, n_in = self.w_in.shape
        return f"{self.neuron}, n_in={n_in}, n={n}, recurrent={self.w_rec is not None}"


def check_precision(module: nn.Module, *weights: Tensor) -> None:
    """Raises UsageError unless all weights are float32, or all float64."""
    dtypes = {w.dtype for w in weights}
    if len(dtypes) > 1 or not dtypes <= set(PRECISIONS):
        named = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise UsageError(
            f"{type(module).__name__} has weights in {named}: it computes in float32 or float64, so convert it with "
            ".float(), and use autocast to reduce the precision of other layers"
        )
