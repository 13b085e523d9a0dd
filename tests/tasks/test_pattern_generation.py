"""Task 1.1: its targets, its error, its learning rate, and the Clopath rule, against numbers worked out here."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from repro.records.record import RunRecord, read_arrays
from repro.runs.run import run
from tasks.pattern_generation.config import TASK, PatternGenerationConfig
from tasks.pattern_generation.data import PatternGenerationData, PatternTrial
from tasks.pattern_generation.module import PatternGenerationModule
from tasks.pattern_generation.record import choose
from tests.tasks.watching import Gradients, LearningRates, SpikeTimes, Weights

Arrays = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def trained(folder: Path, variant: str, callbacks: list[pl.Callback], **settings: Any) -> tuple[RunRecord, Arrays]:
    """A run with the paper's settings, but for those given; its record and its arrays."""
    texts = {key: str(value) for key, value in settings.items()}
    record = run(TASK, variant, "paper", 0, texts, out=folder, callbacks=callbacks)
    (where,) = folder.glob("*/*/seed-0")
    return record, read_arrays(where, record)


def test_the_learning_rate_falls_to_seven_tenths_after_every_100_iterations(tmp_path: Path) -> None:
    """0.003, "after every 100 iterations decayed with a multiplicative factor of 0.7" (task 1.1)."""
    rates = LearningRates()
    trained(tmp_path, "e_prop_1", [rates], n_rec=3, trial_ms=20, iterations=205)
    assert rates.values == pytest.approx([0.003] * 100 + [0.0021] * 100 + [0.00147] * 5, rel=1e-12)


def test_nmse_divides_by_the_mean_variance_over_the_readouts() -> None:
    """Four steps and three readouts, whose targets have variances 1, 4 and 16: their mean is 7, the largest is 16."""
    target = torch.tensor([[[1.0, 2.0, 0.0], [-1.0, -2.0, 8.0], [1.0, 2.0, 0.0], [-1.0, -2.0, 8.0]]])
    off_by = torch.tensor([[[3.0, 0.0, 0.0]] * 4])  # squares of 9, 0 and 0: a mean squared error of 3
    module = PatternGenerationModule(PatternGenerationConfig(n_rec=4, trial_ms=5), 0)
    metrics = module.metrics(target + off_by, PatternTrial(torch.zeros(1, 4, 20), target))
    assert float(metrics["mse"]) == pytest.approx(3.0)
    assert float(metrics["nmse"]) == pytest.approx(3 / 7)


def test_a_readout_of_the_target_s_mean_has_an_nmse_of_one() -> None:
    target = torch.tensor([[[5.0], [7.0], [5.0], [7.0]]])
    module = PatternGenerationModule(PatternGenerationConfig(n_rec=4, n_out=1, trial_ms=5), 0)
    metrics = module.metrics(torch.full_like(target, 6.0), PatternTrial(torch.zeros(1, 4, 20), target))
    assert float(metrics["nmse"]) == pytest.approx(1.0)


def target_of(target_scale: str, seed: int) -> np.ndarray[Any, Any]:
    """The target [time, readout] of a trial of the paper's length."""
    return PatternGenerationData(PatternGenerationConfig(target_scale=target_scale), seed).trial.target[0].numpy()


@pytest.mark.parametrize("seed", range(3))
def test_raw_targets_are_four_sinusoids_of_amplitudes_between_a_half_and_two(seed: int) -> None:
    """A sine and a cosine of each of 1, 2, 3 and 5 Hz fit them (task 1.1); the fit has the amplitudes."""
    target = target_of("raw", seed)
    assert target.shape == (1000, 3)
    angle = 2 * np.pi * np.arange(1000)[:, None] / 1000 * np.array([1, 2, 3, 5])
    waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    fit, *_ = np.linalg.lstsq(waves, target, rcond=None)
    assert np.abs(waves @ fit - target).max() < 1e-4
    amplitudes = np.hypot(fit[:4], fit[4:])
    assert amplitudes.min() > 0.5 - 1e-4 and amplitudes.max() < 2 + 1e-4
    assert np.abs(target).max() > 1.5 and np.abs(target[0]).max() > 0.1  # neither scaled nor shifted


@pytest.mark.parametrize("seed", range(3))
def test_tutorial_targets_begin_at_zero_and_reach_one(seed: int) -> None:
    target, raw = target_of("tutorial", seed), target_of("raw", seed)
    assert np.abs(target[0]).max() == 0
    np.testing.assert_allclose(np.abs(target).max(axis=0), 1, rtol=1e-6)
    shifted = raw - raw[0]
    np.testing.assert_allclose(target, shifted / np.abs(shifted).max(axis=0), atol=1e-5)


def test_the_default_target_is_the_tutorial_s() -> None:
    default = PatternGenerationData(PatternGenerationConfig(), 0).trial.target[0].numpy()
    np.testing.assert_array_equal(default, target_of("tutorial", 0))


def filtered(series: np.ndarray[Any, Any], decay: float) -> np.ndarray[Any, Any]:
    """x-hat^t = decay x-hat^(t-1) + x^t."""
    out, held = np.zeros_like(series), np.zeros_like(series[0])
    for t, x in enumerate(series):
        held = decay * held + x
        out[t] = held
    return out


def test_the_clopath_rule_filters_the_voltage_with_10_ms(tmp_path: Path) -> None:
    """Eq. 57 for a neuron that never spikes, from its inputs and the target alone.

    The voltage is the filtered input (Eq. 20), and so is the presynaptic trace. The thresholds are v_th / 4 and 0, and
    v-hat is the voltage filtered with 10 ms. A second neuron spikes, but nothing reads it, so that y = 0 and
    dE/dy = -y*; all feedback weights are 1 / sqrt(2).
    """
    weights = np.array([0.07, 0.10, 0.05, 0.09, 0.06])
    watch = Gradients()
    w_in = torch.stack([torch.from_numpy(weights), torch.full((5,), 10.0)])
    start = Weights({"network.layer.w_in": w_in, "network.readout.w_out": 0.0})
    sizes: dict[str, Any] = {"n_rec": 2, "n_in": 5, "n_out": 1, "trial_ms": 100, "iterations": 1, "recurrent": False}
    plain: dict[str, Any] = {"feedback": "global", "rate_cost": 0, "task_loss": "half_sum", "readout_scale": "one"}
    _, arrays = trained(tmp_path, "clopath", [start, watch], clock_rate_hz=250, **sizes, **plain)
    assert not arrays["snapshot_spikes"][0, 0].any() and arrays["snapshot_spikes"][0, 1].any()

    spikes = np.zeros((100, 5))  # five groups of one input: each fires every 4 ms of its 20
    for group in range(5):
        spikes[20 * group : 20 * group + 20 : 4, group] = 1
    trace = filtered(spikes, math.exp(-1 / 20))
    v = trace @ weights
    assert 0.4 < v.max() < 0.61
    error = filtered(-arrays["target"][::-1, 0].astype(float), math.exp(-1 / 20))[::-1]  # kappa: tau_out is 20 ms

    def gradient(tau_ms: float) -> np.ndarray[Any, Any]:
        decay = math.exp(-1 / tau_ms)
        v_hat = (1 - decay) * filtered(v, decay)
        factor = np.maximum(v - 0, 0) * np.maximum(v_hat - 0.61 / 4, 0)
        return (error * factor) @ trace / math.sqrt(2)

    measured = watch.first["network.layer.w_in"][0].numpy()
    np.testing.assert_allclose(measured, gradient(10), rtol=1e-4)
    assert np.abs(gradient(20) / gradient(10) - 1).max() > 0.1  # control


def test_active_neurons_are_shown_before_others() -> None:
    few, many = np.zeros(600, bool), np.ones(600, bool)
    few[[7, 300, 599]] = True
    shown = choose(few, seed=1)
    assert {7, 300, 599} < set(shown.tolist()) and len(set(shown.tolist())) == 20 and np.all(np.diff(shown) > 0)
    many[:500] = False
    assert choose(many, seed=1).min() >= 500
    assert choose(many, seed=1).tolist() != choose(many, seed=2).tolist()
    assert choose(np.ones(3, bool), seed=1).tolist() == [0, 1, 2]


def test_the_record_has_the_spikes_of_the_neurons_that_it_names(tmp_path: Path) -> None:
    watch = SpikeTimes()
    sizes: dict[str, Any] = {"n_rec": 40, "trial_ms": 100, "iterations": 1}
    _, arrays = trained(tmp_path, "e_prop_1", [watch], **sizes)
    neurons = arrays["snapshot_neurons"].tolist()
    times = [train.nonzero()[0].tolist() for train in arrays["snapshot_spikes"][0]]
    assert times == [watch.times[neuron] for neuron in neurons] and neurons != list(range(20))
    assert arrays["snapshot_active"] == sum(len(train) >= 1 for train in watch.times)  # one in 100 ms is 10 Hz
