"""JAX's contenders: gradients equal eager torch's in float64, updates equal torch's optimizers; broken ones do not."""

import dataclasses
from typing import Any

import pytest
import torch

from benchmarks import agreement, contenders, names
from benchmarks.windows import WindowProblem
from repro.errors import RunFailed
from tests.benchmarks.sizes import tiny

jax = pytest.importorskip("jax", reason="JAX comes with the extra `bench`")
jnp = jax.numpy

from benchmarks import jax_e_prop_3, jax_factored, jax_updates, jax_windows, scan  # noqa: E402

IN_TRIALS = (names.SCAN, names.SCAN_BPTT, names.JAX_FACTORED, names.JAX_REVERSE)
IN_WINDOWS = (names.JAX_WINDOW, names.JAX_E_PROP_3)
OF = {"pattern_generation": IN_TRIALS, "store_recall": IN_TRIALS} | dict.fromkeys(
    ("copy_repeat", "word_prediction"), IN_WINDOWS
)
PAIRS = pytest.mark.parametrize(("task", "who"), [(task, who) for task, several in OF.items() for who in several])


def exact(task):
    return dataclasses.replace(tiny(task), exact=True)


@PAIRS
def test_gradients_are_those_of_eager_torch(task, who) -> None:
    assert agreement.compare(exact(task), [who], 1e-6) < 1e-12


def without_recurrence(monkeypatch) -> None:
    backward: Any = jax_factored._backward
    monkeypatch.setattr(jax_factored, "_backward", lambda *args: backward(*args[:-1], True))
    make: Any = scan.make_spikes
    monkeypatch.setattr(scan, "make_spikes", lambda neuron, beta, e_prop: make(neuron, beta, True))


@pytest.mark.parametrize("who", [names.SCAN_BPTT, names.JAX_REVERSE])
@pytest.mark.parametrize("task", ["pattern_generation", "store_recall"])
def test_bptt_that_stops_at_synapses_is_not_timed(task, who, monkeypatch) -> None:
    without_recurrence(monkeypatch)
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.compare(exact(task), [who], 1e-6)


@pytest.mark.parametrize("who", [names.SCAN, names.JAX_FACTORED])
def test_e_prop_without_the_rate_loss_is_not_timed(who, monkeypatch) -> None:
    for module in (scan, jax_factored):
        monkeypatch.setattr(module, "rate_loss", lambda z, *_: 0 * z.sum())
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.compare(exact("pattern_generation"), [who], 1e-6)


@pytest.mark.parametrize("task", ["copy_repeat", "word_prediction"])
@pytest.mark.parametrize("broken", ["vectors", "boundary"])
def test_e_prop_3_without_its_past_or_its_boundary_is_not_timed(task, broken, monkeypatch) -> None:
    if broken == "vectors":
        advance = jax_e_prop_3._advance
        monkeypatch.setattr(jax_e_prop_3, "_advance", lambda vectors, *args: advance(0 * vectors, *args))
    else:
        boundary = jax_e_prop_3.boundary_of
        monkeypatch.setattr(
            jax_e_prop_3, "boundary_of", lambda weights, at_next, d_cell: boundary(weights, at_next, 0 * d_cell)
        )
    with pytest.raises(RunFailed, match="is not eager's"):
        agreement.compare(exact(task), [names.JAX_E_PROP_3], 1e-6)


@PAIRS
def test_a_step_changes_weights_as_the_optimizer_does(task, who, monkeypatch) -> None:
    problem = exact(task)
    if isinstance(problem, WindowProblem):
        problem = dataclasses.replace(problem, readings={"learning_rate": "0.01"})
    reference = agreement.REFERENCES[names.CONTENDERS[who].variant]
    updated, start = weights_after(problem, reference, monkeypatch)
    with jax.enable_x64(True):
        step: Any = contenders.build(who, problem).step
        step()
        state = {name: torch.from_numpy(jax.device_get(w).copy()) for name, w in step.state[0].items()}
    for name, weight in updated.items():
        moved, theirs = state[name] - start[name], weight - start[name]
        assert theirs.abs().max() > 0
        assert float((moved - theirs).abs().max()) < 1e-5 * float(theirs.abs().max())


def weights_after(problem, who, monkeypatch):
    """The weights after one iteration of a contender in torch, and those before, by the last part of their names."""
    modules: list = []
    kind = type(problem)
    for made in ("module", "learning_module"):
        if hasattr(kind, made):
            original = getattr(kind, made)

            def recorded(self, config, original=original):
                modules.append(original(self, config))
                return modules[-1]

            monkeypatch.setattr(kind, made, recorded)
    step = contenders.build(who, problem).step
    named = {name.rpartition(".")[2]: weight for name, weight in modules[-1].named_parameters()}
    before = {name: weight.detach().clone() for name, weight in named.items()}
    step()
    return {name: weight.detach().clone() for name, weight in named.items()}, before


def test_words_that_occur_twice_count_once_in_the_norm() -> None:
    cell = jax_windows.Cell(squash=True, forget_bias=0.0, clip_norm=0.1)
    words, rows = jnp.array([[1, 1], [2, 1]]), jnp.arange(12.0).reshape(2, 2, 3)
    weights = {"embedding": jnp.zeros((4, 3))}
    updated, _ = jax_windows.updated(cell, weights, None, {"embedding": rows}, 1, 1.0, words)
    gradient = torch.zeros(4, 3).index_add(0, torch.tensor([1, 1, 2, 1]), torch.arange(12.0).reshape(4, 3))
    parameter = torch.nn.Parameter(torch.zeros(4, 3))
    parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_([parameter], 0.1)
    assert torch.allclose(torch.tensor(jax.device_get(updated["embedding"])), -parameter.grad, atol=1e-7)


@PAIRS
def test_memory_is_counted_by_xla(task, who) -> None:
    built: Any = contenders.build(who, tiny(task))
    weights = sum(leaf.size * 4 for leaf in jax.tree.leaves(built.step.state[0])) / 2**20
    assert built.memory_mb() > weights


def test_clipping_is_torchs() -> None:
    assert float(jax_updates.clipping(jnp.array(100.0), 5.0)) == pytest.approx(0.5)
    assert float(jax_updates.clipping(jnp.array(4.0), 5.0)) == 1
