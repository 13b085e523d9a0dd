"""The kernels of `forward` and `reverse` for tensors [batch, time, neuron]: whole networks, and parts of them."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels.events import Held, SpikeTrains, series
from repro.eprop.kernels.numba_cpu import forward as _forward
from repro.eprop.kernels.numba_cpu import recurrence as _recurrence
from repro.eprop.kernels.numba_cpu import reverse as _reverse

forward: Any = _forward  # numba's own types do not describe what a kernel takes
recurrence: Any = _recurrence
reverse: Any = _reverse


class Simulated(NamedTuple):
    """What a network did: z, h, v [batch, time, neuron] (v of no elements unless it is kept), y [batch, time, readout];
    the state after the last step; the spikes as events; and the trials of the inputs' events and of the spikes."""

    z: Tensor
    h: Tensor
    v: Tensor
    y: Tensor
    state: tuple[Tensor, Tensor, Tensor, Tensor]
    spikes: SpikeTrains
    trials: tuple[Tensor, Tensor]


def network_forward(
    inputs: Tensor | Held | SpikeTrains,
    weights: tuple[Tensor, Tensor, Tensor],
    beta: Tensor,
    state: tuple[Tensor, ...],
    y_before: Tensor,
    constants: tuple[float, ...],
    keep_v: bool = False,
) -> Simulated:
    """LIF and ALIF neurons, `repro.eprop.kernels.reference.lif_forward`, with their inputs and a readout (Eq. 41).

    `inputs` are currents [batch, time, neuron], or such as are held, or spikes as events. `weights` are w_in (of no
    elements where inputs are currents), w_rec and w_out (of no elements for no readout), each [post, pre]; `state` is
    (v, a, z, refractory) [batch, neuron], and `y_before` [batch, readout]. `constants` are alpha, rho, v_th, refractory
    steps, the height of the pseudo-derivative, kappa, and what multiplies w_out.
    """
    (batch, n), steps, like = state[0].shape, inputs.shape[1], state[0]
    none = like.new_empty(0, 0, 0)
    z, h, v = series(like, batch, steps, n), series(like, batch, steps, n), none
    if keep_v:
        v = series(like, batch, steps, n)
    y = series(like, batch, steps, weights[2].shape[0])
    most = batch * n * (1 + steps // max(int(constants[3]), 1))
    channel, trial = (
        torch.empty(most, dtype=torch.int64, device="cpu"),
        torch.empty(most, dtype=torch.int32, device="cpu"),
    )
    of_inputs = torch.empty(
        len(inputs.channel) + 1 if isinstance(inputs, SpikeTrains) else 0, dtype=torch.int32, device="cpu"
    )
    start = torch.empty(steps * batch + 1, dtype=torch.int64, device="cpu")
    after = [x.clone(memory_format=torch.contiguous_format) for x in (*state, y_before)]
    w_in, w_rec, w_out = (w.mT.contiguous() for w in weights)
    each = w_rec.view(-1, n, n) if w_rec.numel() else none
    currents = inputs.frames if isinstance(inputs, Held) else inputs if isinstance(inputs, Tensor) else none
    count = forward.forward(
        inner(currents),
        events_of(inputs, of_inputs),
        forward.Weights(*(w.numpy() for w in (w_in, each, w_out, tiled(beta, like)))),
        forward.State(*(x.view(-1).numpy() for x in after[:4]), after[4].numpy()),
        forward.Constants(*map(real_of(like), constants)),
        forward.Series(*map(inner, (z, h, v, y)), forward.Events(channel.numpy(), trial.numpy(), start.numpy())),
    )
    spikes = SpikeTrains(channel[:count], start, batch, steps, n)
    return Simulated(z, h, v, y, (after[0], after[1], after[2], after[3]), spikes, (of_inputs, trial[:count]))


class Gradients(NamedTuple):
    """Of w_in (of no elements where inputs are no events), w_rec (of no elements without recurrence) and w_out, each
    [post, pre] and [pre, post] in memory; delta of the first step [batch, neuron]; and delta of all, [batch, time,
    neuron], or its sums over frames [batch, frame, neuron], or of no elements."""

    w_in: Tensor
    w_rec: Tensor
    w_out: Tensor
    first: Tensor
    delta: Tensor


class Signals(NamedTuple):
    """What the learning signal is made of: dE/dz beside the readout [batch, time, neuron] is its first part; B
    [neuron, readout] times the filtered dE/dy [batch, time, readout] the second. Without a filter dE/dy may be that of
    frames, [batch, frame, readout]. `by_z` counts up to the `lengths` [batch] of the trials (None: always), beyond
    which dE/dy has to be zero."""

    by_z: Tensor
    by_y: Tensor
    feedback: Tensor
    lengths: Tensor | None = None


def network_reverse(
    post: Tensor,
    signals: Signals,
    inputs: SpikeTrains | None,
    spikes: SpikeTrains | None,
    trials: tuple[Tensor, Tensor],
    beta: Tensor,
    constants: tuple[float, ...],
    delta_every: int = 0,
    through: Tensor | None = None,
    reads_out: bool = True,
) -> Gradients:
    """The recursion of `repro.eprop.kernels.reference.local_reverse`, `post` being dz/dv, or of `.bptt_reverse`; and
    the gradients from it.

    `inputs` and `spikes` are those of the forward pass, `trials` the trial of each of their events. `constants` are
    alpha, rho, kappa, and what multiplies w_out. `delta_every`: of how many steps sums of delta are wanted (0: none).
    `through` [post, pre]: what the spikes of a step do to the next, the reset included; this makes it BPTT. The
    gradient of w_rec has none for spikes before the first step, and its diagonal counts like any other place; that of
    w_out is made if the layer `reads_out` alone.
    """
    (batch, steps, n), (by_z, by_y, feedback, lengths) = post.shape, signals
    flat = by_z.stride()[:2] == (0, 0)  # the rate term: the same row for all trials and steps
    delta = series(post, batch, steps // delta_every, n) if delta_every else post.new_empty(0, 0, 0)
    outs = feedback.shape[1]
    onto = post.new_zeros(outs + outs % 2, n)
    onto[:outs] = feedback.T
    total, later, onward = post.new_zeros(3, batch, n)
    w_in = post.new_zeros(inputs.channels if inputs else 0, n)
    w_rec, w_out = post.new_zeros(n if spikes else 0, n), post.new_zeros(n, outs if spikes and reads_out else 0)
    reverse.reverse(
        inner(post),
        reverse.Signal(
            *(inner(by_z[:, :1] if flat else by_z), inner(by_y), onto.numpy()),
            (torch.empty(0, dtype=torch.int64, device="cpu") if lengths is None else lengths.long()).numpy(),
        ),
        events_of(inputs, trials[0]),
        events_of(spikes, trials[1]),
        tiled(beta, post[:, 0]).numpy(),
        reverse.Decays(*map(real_of(post), constants)),
        reverse.Scratch(total.numpy(), later.numpy(), onward.numpy()),
        _through(through, onto.T, batch),
        reverse.Gradients(w_in.numpy(), w_rec.numpy(), w_out.numpy(), inner(delta)),
    )
    return Gradients(w_in.T, w_rec.T, w_out.T, later, delta)


def _through(through: Tensor | None, feedback: Tensor, batch: int) -> Any:
    """What BPTT's kernel needs; of no elements if `through` is None."""
    beside = pull = feedback.new_empty(0, 0)
    if through is not None:
        n, outs = feedback.shape
        columns = n + outs + -(n + outs) % 16  # whole cache lines, of 64 bytes
        beside, pull = feedback.new_zeros(batch, columns), feedback.new_zeros(n, columns)
        pull[:, :n], pull[:, n : n + outs] = through.T, feedback
    return recurrence.Through(beside.numpy(), pull.numpy())


def inner(x: Tensor) -> Any:
    """[batch, time, neuron] -> [time, batch, neuron], as an array; no copy where it lies so."""
    return x.transpose(0, 1).contiguous().numpy()


def real_of(like: Tensor) -> Any:
    """The type of a number of an array's dtype."""
    return like.new_empty(0).numpy().dtype.type


def tiled(beta: Tensor, like: Tensor) -> Tensor:
    """beta of all trials' neurons, one after the other; of no elements where none adapts. `like` is [batch, neuron]."""
    return beta.repeat(len(like)) if beta.numel() else beta


def events_of(spikes: SpikeTrains | Tensor | Held | None, trial: Tensor) -> Any:
    """The events of spikes, none of anything else."""
    none = torch.empty(0, dtype=torch.int64, device="cpu")
    channel, start = (spikes.channel, spikes.start) if isinstance(spikes, SpikeTrains) else (none, none)
    return forward.Events(channel.contiguous().numpy(), trial.numpy(), start.contiguous().numpy())
