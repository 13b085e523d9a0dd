"""Pattern generation at another step of time: what is in ms and in Hz stays, what is in steps changes."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from repro.errors import UserError
from repro.records.record import read_arrays
from repro.records.store import run_folder
from repro.runs.config import config_hash
from repro.runs.run import run
from tasks.pattern_generation.config import TASK
from tasks.pattern_generation.data import PatternGenerationData
from tasks.pattern_generation.module import PatternGenerationModule

STEPS = (1.0, 0.5, 0.25)


def at(dt_ms: float):
    return TASK.resolve("e_prop_1", "smoke", {"dt_ms": str(dt_ms), "trial_ms": "200"})


@pytest.mark.parametrize("dt_ms", STEPS)
def test_input_and_target_are_the_same_in_ms(dt_ms: float) -> None:
    fine, coarse = (PatternGenerationData(at(dt), 0).trial for dt in (dt_ms, 1.0))
    times = [torch.nonzero(trial.inputs[0]).float() for trial in (fine, coarse)]
    assert torch.equal(times[0] * torch.tensor([dt_ms, 1.0]), times[1])
    every = round(1 / dt_ms)
    assert torch.allclose(fine.target[:, ::every] - fine.target[:, :1], coarse.target - coarse.target[:, :1], atol=0.05)


@pytest.mark.parametrize("dt_ms", STEPS)
def test_neuron_readout_and_rate_know_the_step(dt_ms: float) -> None:
    config = at(dt_ms)
    module = PatternGenerationModule(config, 0)
    neuron: Any = module.network.layer.neuron
    readout = module.network.readout
    assert neuron.refractory_steps * dt_ms == config.refractory_ms
    assert neuron.alpha == math.exp(-dt_ms / config.tau_m_ms)
    assert readout.kappa == math.exp(-dt_ms / config.tau_out_ms)
    z = torch.zeros(1, round(200 / dt_ms), config.n_rec)
    z[:, 0] = 1  # a spike in 0.2 s
    loss = module.rate(z)
    assert torch.isclose(loss, module.rate.loss(torch.full((config.n_rec,), 5.0)))


def test_a_run_in_half_steps(tmp_path: Path) -> None:
    settings = {"trial_ms": "200", "iterations": "5", "decay_every": "5", "final_trials": "2"}
    metrics = {}
    for dt_ms in (1.0, 0.5):
        overrides = {**settings, "dt_ms": str(dt_ms)}
        record = run(TASK, "resampled_20ms", "smoke", 0, overrides, tmp_path)
        digest = config_hash(TASK.resolve("resampled_20ms", "smoke", overrides))
        arrays = read_arrays(run_folder(TASK.name, "resampled_20ms", digest, 0, tmp_path), record)
        assert len(arrays["target"]) == 200 / dt_ms
        assert arrays["snapshot_spikes"].shape[2] == 200 / dt_ms
        metrics[dt_ms] = record.metrics
    assert 0.5 < metrics[0.5]["rate_hz"] / metrics[1.0]["rate_hz"] < 2


def test_steps_that_do_not_divide_a_ms() -> None:
    with pytest.raises(UserError, match=r"dt_ms is one of 0.25, 0.5, 1.0"):
        at(0.3)
