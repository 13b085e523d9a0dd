"""One-shot learning: the outer gradient, through both trials and the update between them, against autograd through
every step, in float64; and what an error module receives."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels import events
from repro.eprop.kernels.events import spike_trains
from repro.eprop.layers.differentiable import DifferentiableLayer
from repro.eprop.layers.error_module import one_shot
from repro.eprop.neurons.differentiable import LayerWeights
from repro.eprop.rules.one_shot import ErrorModuleInput, ErrorModuleOutput, eprop_update
from tests.oracle.eprop.inner_loop import BATCH, N_IN, RATE, STEPS, N, Problem, make, objective, reference
from tests.oracle.eprop.unrolled import NEURONS, delayed, draw, eprop_sum, relative, unrolled, without_diagonal

EXACT, WRONG = 1e-10, 1e-3


def parameters(problem: Problem) -> dict[str, Tensor]:
    modules = {"layer": problem.layer, "readout": problem.readout, "error_module": problem.error_module}
    return {f"{name}.{key}": p for name, module in modules.items() for key, p in module.named_parameters()}


def gradients(loss: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def compare(results: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for name in results:
        assert relative(results[name], wanted[name]) < EXACT, name


@pytest.mark.parametrize("few", [0.0, 1.0], ids=["whole products", "where h is not zero"])
@pytest.mark.parametrize("trace", ["full", "truncated"])
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("kind", ["spiking", "linear"])
def test_the_outer_gradient_is_autograds(
    kind: str, neuron: str, trace: str, few: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "FEW_WANTED", few)
    problem = make(kind, neuron)
    result = problem.one_shot(trace)
    first, second = result.training.trajectory.z, result.test.trajectory.z
    assert 0.01 < first.mean() < 0.5, "the oracle's network is not alive"
    assert kind == "linear" or 0.01 < result.module_output.zeta.mean() < 0.5, "the oracle's module is not alive"
    assert not torch.equal(first, second), "the update changed no spike"
    leaves = parameters(problem)
    assert len(leaves) == 6
    results = gradients(problem.loss(trace), leaves)
    compare(results, gradients(reference(problem, trace), leaves))
    other = gradients(reference(problem, "full" if trace == "truncated" else "truncated"), leaves)
    assert relative(results["layer.w_in"], other["layer.w_in"]) > WRONG  # control: the other trace


@pytest.mark.parametrize("constant", ["signal", "h"])
def test_control_a_learning_signal_or_a_pseudo_derivative_held_constant(constant: str) -> None:
    problem = make("linear")
    leaves = {name: p for name, p in parameters(problem).items() if name.startswith("layer")}
    results = gradients(problem.loss(), leaves)
    wrong = gradients(reference(problem, "full", constant=constant), leaves)
    for name in leaves:
        assert relative(results[name], wrong[name]) > WRONG


@pytest.mark.parametrize("neuron", NEURONS)
def test_updates_may_follow_each_other(neuron: str) -> None:
    """Two updates by a given learning signal: the second one begins from weights of each trial."""
    layer, readout, _, x, target = make("linear", neuron)
    signal, weights = 0.3 * draw(BATCH, STEPS, N, seed=2), layer.weights
    w_in, w_rec = (w.expand(BATCH, *w.shape) for w in (layer.w_in, without_diagonal(layer.w_rec)))
    for _ in range(2):
        weights = eprop_update(weights, x, layer(x, weights), signal, layer.neuron, RATE)
        z, h, _ = unrolled(layer.neuron, torch.einsum("bji,bti->btj", w_in, x), w_rec)
        w_in = w_in - RATE * eprop_sum(layer.neuron, h, signal, x, "full")
        w_rec = w_rec - RATE * without_diagonal(eprop_sum(layer.neuron, h, signal, delayed(z), "full"))
    z, _, _ = unrolled(layer.neuron, torch.einsum("bji,bti->btj", w_in, x), w_rec)
    leaves = {"w_in": layer.w_in, "w_rec": layer.w_rec}
    results = gradients(objective(readout(layer(x, weights).z), target), leaves)
    compare(results, gradients(objective(readout(z), target), leaves))
    once = eprop_update(layer.weights, x, layer(x), signal, layer.neuron, 2 * RATE)  # control: one of twice the size
    wrong = gradients(objective(readout(layer(x, once).z), target), leaves)
    assert relative(results["w_in"], wrong["w_in"]) > WRONG


@pytest.mark.parametrize("kind", ["spiking", "linear"])
def test_inputs_targets_and_the_learning_rate_have_gradients_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FEW_WANTED", 1.0)  # where an array is zero its gradient is needed all the same
    problem = make(kind)
    x, rate = problem.inputs.clone().requires_grad_(), torch.tensor(RATE, dtype=torch.float64, requires_grad=True)
    problem.target.requires_grad_()
    leaves = {"x": x, "target": problem.target, "rate": rate}
    results = gradients(problem.loss("full", rate, x), leaves)
    compare(results, gradients(reference(problem, "full", rate, x), leaves))
    wrong = gradients(reference(problem, "full", rate, x, constant="signal"), leaves)
    assert relative(results["x"], wrong["x"]) > WRONG  # control


SHARED: dict[str, Callable[[Tensor], Any]] = {"an array": Tensor.clone, "events": spike_trains}


@pytest.mark.parametrize("few", [0.0, 1.0], ids=["whole products", "where h is not zero"])
@pytest.mark.parametrize("form", SHARED)
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("kind", ["spiking", "linear"])
def test_inputs_that_all_tasks_share_are_given_once(
    kind: str, neuron: str, form: str, few: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "FEW_WANTED", few)
    problem = make(kind, neuron)
    leaves, one = parameters(problem), SHARED[form](problem.inputs[:1])
    assert problem.one_shot(inputs=one).training.trajectory.shape[0] == 1
    results = gradients(problem.loss(inputs=one), leaves)
    shared = problem.inputs[:1].expand(BATCH, -1, -1)
    compare(results, gradients(reference(problem, "full", inputs=shared), leaves))
    wrong = gradients(reference(problem, "full"), leaves)  # control: inputs of each task
    assert relative(results["layer.w_in"], wrong["layer.w_in"]) > WRONG


def test_inputs_that_all_tasks_share_have_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FEW_WANTED", 1.0)
    problem = make("spiking")
    one = problem.inputs[:1].clone().requires_grad_()
    (result,) = torch.autograd.grad(problem.loss(inputs=one), [one])
    (wanted,) = torch.autograd.grad(reference(problem, "full", inputs=one.expand(BATCH, -1, -1)), [one])
    assert relative(result, wanted) < EXACT
    assert relative(result, wanted.roll(1, dims=1)) > WRONG  # control: a step late


def test_a_layer_below_receives_the_outer_gradient() -> None:
    problem = make("linear")
    neuron = dataclasses.replace(NEURONS["alif"], n_adaptive=3)
    below = DifferentiableLayer(neuron, 3, N_IN, generator=torch.Generator().manual_seed(1)).double()
    x = 0.5 + 0.3 * draw(BATCH, STEPS, 3)
    leaves = [below.w_in, below.w_rec]
    results = torch.autograd.grad(problem.loss(inputs=below(x)), leaves)
    z, _, _ = unrolled(below.neuron, x @ below.w_in.T, without_diagonal(below.w_rec))
    assert z.mean() > 0.01
    wanted = torch.autograd.grad(reference(problem, "full", inputs=z), leaves, retain_graph=True)
    for result, of in zip(results, wanted, strict=True):
        assert relative(result, of) < EXACT
    wrong = torch.autograd.grad(reference(problem, "truncated", inputs=z), [below.w_in])  # control
    assert relative(results[0], wrong[0]) > WRONG


def test_where_no_spike_comes_or_goes_finite_differences_agree() -> None:
    """h of the test trial is a smooth function of both layers' weights, through the update. What a gradient has beside
    its derivative, through the spikes, vanishes with gamma; the update is kept in size by its learning rate."""
    problem = make("linear")
    layer, module = problem.layer, problem.error_module

    def smooth(*leaves: Tensor) -> Tensor:
        gamma = layer.neuron.dampening
        names = [f"layer.{name}" for name, _ in layer.named_parameters()]
        weights = LayerWeights(*leaves[: len(names)])
        modules = dict(zip(["w_in", "w_rec", "w_target"], leaves[len(names) :], strict=True))
        trajectory = layer(problem.inputs, weights)
        received = ErrorModuleInput(problem.inputs, trajectory, problem.target)
        signal = torch.func.functional_call(module, modules, (received,)).signal
        rate = 1e-3 / gamma
        updated = eprop_update(weights, problem.inputs, trajectory, signal, layer.neuron, rate)
        return (layer(problem.inputs, updated).h / gamma).square().mean(dim=(0, 1))

    leaves = *layer.parameters(), *module.parameters()
    layer.neuron = dataclasses.replace(layer.neuron, dampening=1e-9)
    assert torch.autograd.gradcheck(smooth, leaves)
    layer.neuron = dataclasses.replace(layer.neuron, dampening=0.3)  # control: the spikes' share
    assert not torch.autograd.gradcheck(smooth, leaves, raise_exception=False)


def test_no_error_no_readout_and_no_position_reaches_an_error_module() -> None:
    assert ErrorModuleInput._fields == ("inputs", "trajectory", "target")
    problem = make("spiking")
    first = problem.one_shot()
    with torch.no_grad():
        problem.readout.w_out.mul_(-3)
    second = problem.one_shot()
    assert not torch.equal(first.training.y, second.training.y)
    assert torch.equal(first.module_output.signal, second.module_output.signal)
    assert torch.equal(first.weights.w_rec, second.weights.w_rec)
    third = problem._replace(target=problem.target + 1).one_shot()  # control: the target does reach it
    assert not torch.equal(first.module_output.signal, third.module_output.signal)


def test_each_trial_learns_its_own_task_alone() -> None:
    problem = make("spiking")
    together = problem.one_shot()
    alone = problem._replace(inputs=problem.inputs[1:2], target=problem.target[1:2]).one_shot()
    torch.testing.assert_close(together.test.y[1:2], alone.test.y)
    assert not torch.allclose(together.test.y[0:1], alone.test.y)
    assert torch.equal(torch.diagonal(together.weights.w_rec, dim1=1, dim2=2), torch.zeros(BATCH, N))


def test_an_error_module_is_any_function_and_a_readout_too() -> None:
    layer, _, _, inputs, target = make("linear")

    def error_module(received: ErrorModuleInput) -> ErrorModuleOutput:
        return ErrorModuleOutput(received.target.sum(dim=2, keepdim=True).expand(-1, -1, N), inputs[:, :, :0])

    result = one_shot(layer, lambda z: z.mean(dim=1), error_module, inputs, target, RATE)
    signal = target.sum(dim=2, keepdim=True).expand(-1, -1, N)
    wanted = eprop_sum(layer.neuron, result.training.trajectory.h, signal, inputs, "full")
    assert relative(layer.w_in - result.weights.w_in, RATE * wanted) < EXACT
    assert result.test.y.shape == (BATCH, N)
