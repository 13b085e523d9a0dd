"""Task 2.1: its batches, its outer loss, what its runs measure, and a run that is interrupted."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from repro.errors import RunFailed, UserError
from repro.records.record import read_arrays
from repro.runs.run import run
from tasks.arm_reaching.arm import integrate, tip
from tasks.arm_reaching.config import LEARNS_EARLY, PROFILES, TASK, VARIANTS, ArmReachingConfig
from tasks.arm_reaching.data import ArmBatch, batch
from tasks.arm_reaching.module import ArmReachingModule
from tests.tasks.watching import LearningRates, Weights

SMALL: dict[str, Any] = {
    "n_rec": 14,
    "n_module": 9,
    "trial_ms": 60,
    "batch_size": 3,
    "iterations": 4,
    "tested_tasks": 5,
}


def config(**values: Any) -> ArmReachingConfig:
    return ArmReachingConfig(**(SMALL | values))


def made(**values: Any) -> tuple[ArmReachingModule, ArmBatch]:
    c = config(**values)
    return ArmReachingModule(c, 0), batch(c, 0, "training", 0, c.batch_size)


def test_a_batch_is_a_function_of_seed_purpose_and_number() -> None:
    c = config(target_input="population")
    first, again = batch(c, 0, "training", 2, 3), batch(c, 0, "training", 2, 3)
    assert torch.equal(first.target_input, again.target_input)
    assert torch.equal(first.movements.positions, again.movements.positions)
    for other in (batch(c, 1, "training", 2, 3), batch(c, 0, "test", 2, 3), batch(c, 0, "training", 3, 3)):
        assert not torch.equal(first.movements.positions, other.movements.positions)
        assert not torch.equal(first.target_input, other.target_input)


def test_what_the_error_module_receives_of_a_movement() -> None:
    tasks = batch(config(), 0, "training", 0, 3)
    assert torch.equal(tasks.target_input, tasks.movements.positions)
    assert torch.equal(tasks.test_target_input, tasks.target_input)
    spikes = batch(config(target_input="population", target_neurons=30), 0, "training", 0, 3)
    assert spikes.target_input.shape == (3, 60, 60)
    assert not torch.equal(spikes.target_input, spikes.test_target_input)  # the test trial's spikes are drawn anew


def test_all_trials_have_the_same_clock() -> None:
    inputs = batch(config(n_in=10), 0, "training", 0, 3).inputs.dense()
    assert inputs.shape == (1, 60, 10)
    assert inputs.sum() == 10 * 2  # each group fires for 12 of 60 ms, at 100 Hz


def test_the_outer_loss_is_equation_61() -> None:
    module, tasks = made(task_loss="sum", motor_weight=1.0)
    random = torch.Generator().manual_seed(1)
    velocities = 10 * torch.randn(3, 60, 2, generator=random)
    wanted = 0.0
    for trial in range(3):
        phi = torch.tensor([0.0, torch.pi / 2])
        for t in range(60):
            phi = phi + velocities[trial, t] * 0.001
            x = 0.5 * phi[0].cos() + 0.5 * (phi[0] + phi[1]).cos()
            y = 0.5 * phi[0].sin() + 0.5 * (phi[0] + phi[1]).sin()
            reached = (torch.stack([x, y]) - tasks.movements.positions[trial, t]).square().sum()
            moved = (velocities[trial, t] - tasks.movements.velocities[trial, t]).square().sum()
            wanted = wanted + float(reached + moved) / 3
    assert float(module.loss_of(velocities, tasks)) == pytest.approx(wanted, rel=1e-4)
    mean, _ = made(task_loss="mean", motor_weight=1.0)
    assert float(mean.loss_of(velocities, tasks)) == pytest.approx(wanted / 120, rel=1e-4)
    assert float(made(motor_weight=0.5)[0].loss_of(velocities, tasks)) != pytest.approx(wanted, rel=0.1)  # control


def test_the_target_velocities_lead_to_the_target() -> None:
    module, tasks = made()
    assert float(module.loss_of(tasks.movements.velocities, tasks)) < 1e-6
    assert float(module.metrics(0.9 * tasks.movements.velocities, tasks)["test_mse"]) > 1e-6  # control


def test_rates_are_means_over_both_trials_or_the_first() -> None:
    module, tasks = made()
    inner = module.inner_loop(tasks, test_output=True)
    assert inner.training_output is not None and inner.test_output is not None
    first, second = (1000 * trial.trajectory.z.mean() for trial in (inner.training, inner.test))
    own, again = (1000 * output.zeta.mean() for output in (inner.training_output, inner.test_output))
    both, of_module = module.rates(inner, both=True)
    assert of_module is not None
    assert float(both.mean()) == pytest.approx(float(first + second) / 2)
    assert float(of_module.mean()) == pytest.approx(float(own + again) / 2)
    alone, of_module = module.rates(inner, both=False)
    assert of_module is not None
    assert float(alone.mean()) == pytest.approx(float(first))
    assert float(of_module.mean()) == pytest.approx(float(own))


def test_the_test_trials_signal_is_made_where_it_is_asked_for() -> None:
    module, tasks = made()
    whole, part = (module.inner_loop(tasks, test_output=True, test_signal=asked) for asked in (True, False))
    assert whole.test_output is not None and part.test_output is not None
    assert torch.equal(whole.test_output.zeta, part.test_output.zeta)
    assert whole.test_output.zeta.any() and whole.test_output.signal.any()
    assert not part.test_output.signal.numel()


def test_a_training_step_adds_the_rate_terms_of_both_networks() -> None:
    values: dict[str, Any] = {"rate_loss": "mean_hz", "task_loss": "mean"}
    module, tasks = made(rate_cost=0.0, **values)
    bare = module.training_step(tasks, 0)["metrics"]
    module, tasks = made(rate_cost=0.5, **values)
    found = module.training_step(tasks, 0)["metrics"]
    network, of_module = module.rates(module.inner_loop(tasks, test_output=True), both=True)
    assert of_module is not None
    terms = 0.5 * ((network - 20).square().mean() + (of_module - 10).square().mean())
    assert float(found["loss"] - bare["loss"]) == pytest.approx(float(terms), rel=1e-4)
    assert float((network - 10).square().mean()) != pytest.approx(float((network - 20).square().mean()), rel=1e-2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_of_every_variant_learns(variant: str) -> None:
    module, tasks = made(**VARIANTS[variant].settings)
    outputs = module.training_step(tasks, 0)
    outputs["loss"].backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    has_module = any(name.startswith("error_module") for name, _ in module.named_parameters())
    assert has_module == (variant != "no_inner_update")


def test_without_an_inner_update_both_trials_are_one() -> None:
    module, tasks = made(inner_update=False)
    metrics = module.training_step(tasks, 0)["metrics"]
    assert metrics["training_mse"] == metrics["test_mse"]
    module, tasks = made(inner_learning_rate=0.1)  # control
    metrics = module.training_step(tasks, 0)["metrics"]
    assert metrics["training_mse"] != metrics["test_mse"]


def test_the_learning_rate_falls_to_19_twentieths_after_every_300_steps(tmp_path: Path) -> None:
    """0.0015, "decayed after every 300 steps by a factor of 0.95" (task 2.1)."""
    short = {"n_rec": "3", "batch_size": "1", "trial_ms": "10", "tested_tasks": "1", "iterations": "305"}
    rates, alive = LearningRates(), Weights({"network.layer.w_in": 1.0})
    settings = short | {"n_in": "5", "clock_rate_hz": "1000"}
    run(TASK, "no_inner_update", "paper", 0, settings, out=tmp_path, callbacks=[alive, rates])
    assert rates.values == pytest.approx([0.0015] * 300 + [0.001425] * 5, rel=1e-12)


def test_a_gradient_that_is_not_finite_ends_the_run() -> None:
    module, _ = made()
    optimizer = module.configure_optimizers()["optimizer"]
    module.on_before_optimizer_step(optimizer)
    w_in = module.network.layer.w_in
    w_in.grad = torch.full_like(w_in, torch.nan)
    with pytest.raises(RunFailed, match=r"gradient of network\.layer\.w_in is no longer finite"):
        module.on_before_optimizer_step(optimizer)


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    settings = {key: str(value) for key, value in SMALL.items()} | {"iterations": "6", "target_input": "population"}
    whole = run(TASK, "e_prop_2_spiking", "smoke", 0, settings, out=tmp_path / "whole")

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 4:
                raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(TASK, "e_prop_2_spiking", "smoke", 0, settings, out=tmp_path / "parts", callbacks=[Stop()])
    resumed = run(TASK, "e_prop_2_spiking", "smoke", 0, settings, out=tmp_path / "parts")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert resumed.metrics == whole.metrics
    (folder,) = (tmp_path / "parts/arm_reaching").glob("*/seed-0")
    arrays = read_arrays(folder, resumed)
    assert len(arrays["test_mse"]) == 6
    shapes = {name: x.shape for name, x in arrays.items() if name.startswith("example_")}
    assert shapes == {
        "example_target": (60, 2),
        "example_target_elbow": (60, 2),
        "example_target_velocities": (60, 2),
        "example_tip": (2, 60, 2),
        "example_velocities": (2, 60, 2),
        "example_inputs": (20, 60),
        "example_spikes": (2, 14, 60),
        "example_module_spikes": (2, 9, 60),
        "example_signals": (2, 60, 10),
    }
    velocities = torch.from_numpy(arrays["example_velocities"])
    np.testing.assert_allclose(tip(integrate(velocities, 1.0)).numpy(), arrays["example_tip"], atol=1e-5)


def test_final_numbers_are_those_of_movements_never_trained_on(tmp_path: Path) -> None:
    settings = {key: str(value) for key, value in SMALL.items()}
    record = run(TASK, "e_prop_2_spiking", "smoke", 0, settings, out=tmp_path)
    assert record.metrics["signal_by_error"] == 0
    c = TASK.resolve("e_prop_2_spiking", "smoke", settings)
    still = batch(c, 0, "test", 0, 5)
    at_rest = tip(integrate(torch.zeros_like(still.movements.velocities), 1.0))
    wanted = float((at_rest - still.movements.positions).square().mean())
    assert record.metrics["at_rest_mse"] == pytest.approx(wanted, rel=1e-5)
    other = batch(c, 0, "training", 0, 5).movements.positions
    assert record.metrics["at_rest_mse"] != pytest.approx(float((at_rest - other).square().mean()), rel=1e-3)  # control


def test_only_the_paper_profile_has_the_papers_values() -> None:
    for variant in VARIANTS:
        assert TASK.resolve(variant, "paper") == dataclasses.replace(ArmReachingConfig(), **VARIANTS[variant].settings)
    for profile in ("quick", "long"):
        assert LEARNS_EARLY.items() <= PROFILES[profile].settings.items()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"omega_low": "2"}, "omega is drawn between the two"),
        ({"inner_update": "false", "trace": "truncated"}, "leave error_module and trace alone"),
        ({"target_input": "muscles"}, "target_input is one of analogue, population"),
        ({"trial_ms": "1"}, "trial_ms lies between 5"),
        ({"omega_reading": "hertz"}, "omega_reading is one of frequency, period"),
    ],
)
def test_bad_values_are_refused_before_anything_is_written(
    settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        run(TASK, "e_prop_2_spiking", "smoke", 0, settings, out=tmp_path)
    assert not list(tmp_path.iterdir())
