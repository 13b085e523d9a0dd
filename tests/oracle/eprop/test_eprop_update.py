"""The update of e-prop 2 against the sums of eligibility traces as they are printed, forward in time, in float64."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels.events import Held, spike_trains
from repro.eprop.layers.differentiable import DifferentiableLayer
from repro.eprop.rules.one_shot import eprop_update, run_trial
from tests.oracle.eprop.inner_loop import BATCH, N_IN, RATE, STEPS, N, make
from tests.oracle.eprop.unrolled import NEURONS, delayed, draw, eprop_sum, relative, unrolled, without_diagonal

EXACT, WRONG = 1e-10, 1e-3


@pytest.mark.parametrize("given", [False, True], ids=["from rest", "from a state"])
@pytest.mark.parametrize("trace", ["full", "truncated"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_the_update_is_the_printed_sum(neuron: str, trace: str, given: bool) -> None:
    layer, _, _, inputs, _ = make("linear", neuron)
    state = layer(inputs[:, :13]).after if given else None
    inputs = inputs[:, 13:] if given else inputs
    assert state is None or state.z.any()
    trajectory, signal = layer(inputs, state=state), draw(BATCH, inputs.shape[1], N, seed=2)
    z_prev = delayed(trajectory.z, state.z if state else None)
    weights = eprop_update(layer.weights, inputs, trajectory, signal, layer.neuron, RATE, trace)
    in_sum, rec_sum = (eprop_sum(layer.neuron, trajectory.h, signal, pre, trace) for pre in (inputs, z_prev))
    assert relative(layer.w_in - weights.w_in, RATE * in_sum) < EXACT
    assert relative(layer.w_rec - weights.w_rec, RATE * without_diagonal(rec_sum)) < EXACT
    other = "full" if trace == "truncated" else "truncated"  # controls
    assert (
        relative(layer.w_in - weights.w_in, RATE * eprop_sum(layer.neuron, trajectory.h, signal, inputs, other)) > 0.1
    )
    late = eprop_sum(layer.neuron, trajectory.h, signal, trajectory.z, trace)
    assert relative(layer.w_rec - weights.w_rec, RATE * without_diagonal(late)) > 0.1


@pytest.mark.parametrize("neuron", NEURONS)
def test_the_update_is_differentiable_by_itself(neuron: str) -> None:
    """Of any function of the updated weights, also one that reads their diagonal."""
    layer, _, _, inputs, _ = make("linear", neuron)
    signal = draw(BATCH, STEPS, N, seed=2).requires_grad_()
    weight_in, weight_rec = draw(BATCH, N, N_IN, seed=3), draw(BATCH, N, N, seed=4)
    weights: Any = eprop_update(layer.weights, inputs, layer(inputs), signal, layer.neuron, RATE)
    leaves = [layer.w_in, layer.w_rec, signal]
    results = torch.autograd.grad((weight_in * weights.w_in).sum() + (weight_rec * weights.w_rec).sum(), leaves)
    z, h, _ = unrolled(layer.neuron, inputs @ layer.w_in.T, without_diagonal(layer.w_rec))
    w_in = layer.w_in - RATE * eprop_sum(layer.neuron, h, signal, inputs, "full")
    rec_sum = eprop_sum(layer.neuron, h, signal, delayed(z), "full")
    w_rec = layer.w_rec - RATE * without_diagonal(rec_sum)
    loss = (weight_in * w_in).sum() + (weight_rec * w_rec).sum()
    wanted = torch.autograd.grad(loss, leaves, retain_graph=True)
    for result, of in zip(results, wanted, strict=True):
        assert relative(result, of) < EXACT
    wrong = torch.autograd.grad(
        loss - RATE * (weight_rec * rec_sum.diagonal(dim1=1, dim2=2).diag_embed()).sum(), leaves
    )
    assert relative(results[2], wrong[2]) > WRONG  # control: autapses that learn


def test_adaptation_is_in_the_full_trace() -> None:
    layer, _, _, inputs, _ = make("linear", "alif")
    trajectory, signal = layer(inputs), draw(BATCH, STEPS, N, seed=2)
    weights = eprop_update(layer.weights, inputs, trajectory, signal, layer.neuron, RATE)
    plain = dataclasses.replace(layer.neuron, n_adaptive=0)
    without = eprop_update(layer.weights, inputs, trajectory, signal, plain, RATE)
    adaptive = slice(N - 7, N)
    assert relative(weights.w_in[:, adaptive], without.w_in[:, adaptive]) > WRONG
    assert torch.allclose(weights.w_in[:, : N - 7], without.w_in[:, : N - 7])


def test_inputs_of_any_form_give_one_update() -> None:
    layer, _, _, spikes, _ = make("linear")
    frames, below = draw(BATCH, STEPS // 5, N_IN, seed=7).abs(), make("linear", "alif").layer(spikes)
    above = DifferentiableLayer(NEURONS["lif"], N, N).double()
    forms: list[tuple[DifferentiableLayer, Any, Tensor]] = [
        (layer, spike_trains(spikes), spikes),
        (layer, spikes.bool(), spikes),
        (layer, Held(frames, 5), frames.repeat_interleave(5, dim=1)),
        (above, below, below.z.detach()),
    ]
    for taken, form, dense in forms:
        trajectory, signal = taken(form), draw(BATCH, STEPS, N, seed=2)
        weights = eprop_update(taken.weights, form, trajectory, signal, taken.neuron, RATE)
        wanted = RATE * eprop_sum(taken.neuron, trajectory.h, signal, dense, "full")
        assert wanted.abs().max() > 0 and relative(taken.w_in - weights.w_in, wanted) < EXACT


def test_without_recurrence_the_inputs_weights_are_updated() -> None:
    _, readout, _, inputs, _ = make("linear")
    layer = DifferentiableLayer(NEURONS["lif"], N_IN, N, recurrent=False).double()
    trial, signal = run_trial(layer, readout, inputs), draw(BATCH, STEPS, N)
    weights = eprop_update(layer.weights, inputs, trial.trajectory, signal, layer.neuron, RATE)
    assert weights.w_rec is None
    wanted = eprop_sum(layer.neuron, trial.trajectory.h, signal, inputs, "full")
    assert relative(layer.w_in - weights.w_in, RATE * wanted) < EXACT
    assert not torch.equal(run_trial(layer, readout, inputs, weights).y, trial.y)
