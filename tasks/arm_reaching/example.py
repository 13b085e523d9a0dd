"""Evaluation of a trained network of task 2.1 on movements not used in training: final numbers, and one example."""

from typing import Any

import numpy as np
import torch

from repro.eprop import firing_rates
from tasks.arm_reaching.arm import integrate, joints, tip
from tasks.arm_reaching.data import batch

AT_ONCE = 50  # movements
SHOWN = 40  # neurons of each network; weights are random, so the first ones are a random choice
SIGNALS = 10  # neurons whose learning signals are shown
EXAMPLE = 0  # which of the movements is shown: the first, whatever it looks like


@torch.no_grad()
def measured(module: Any) -> dict[str, float]:
    """Means over `tested_tasks` movements: errors of both trials, rates in Hz, and the error of an arm at rest."""
    tested = module.config.tested_tasks
    sizes = [min(AT_ONCE, tested - start) for start in range(0, tested, AT_ONCE)]
    batches = [_numbers(module, index, size) for index, size in enumerate(sizes)]
    means = {name: float(np.average([numbers[name] for numbers in batches], weights=sizes)) for name in batches[0]}
    return means | ({} if module.error_module is None else {"signal_by_error": _signal_by_error(module)})


def _signal_by_error(module: Any) -> float:
    """The largest change of a learning signal, over the largest signal, when every readout, and so every error and
    every position of the arm, changes: the readout's weights are negated."""
    tasks = batch(module.config, module.seed, "test", EXAMPLE, 1)
    tasks = module.transfer_batch_to_device(tasks, module.device, 0)
    signals, weights = [], module.network.readout.w_out
    for _ in range(2):
        signals.append(module.inner_loop(tasks, test_output=False).training_output.signal)
        weights.neg_()
    return float((signals[0] - signals[1]).abs().max() / signals[0].abs().max().clamp(min=1e-30))


def _numbers(module: Any, index: int, size: int) -> dict[str, float]:
    tasks = batch(module.config, module.seed, "test", index, size)
    tasks = module.transfer_batch_to_device(tasks, module.device, 0)
    inner = module.inner_loop(tasks, test_output=True)
    trained, tested = (module.metrics(trial.y, tasks) for trial in (inner.training, inner.test))
    at_rest = module.metrics(torch.zeros_like(inner.test.y), tasks)["test_mse"]
    network, both = module.rates(inner, both=True)
    metrics = {
        "test_mse": tested["test_mse"],
        "training_mse": trained["test_mse"],
        "motor_mse": tested["motor_mse"],
        "at_rest_mse": at_rest,
        "rate_hz": network.mean(),
    }
    if both is not None:
        metrics["module_rate_hz"] = both.mean()
        for name, output in (("training", inner.training_output), ("test", inner.test_output)):
            metrics[f"module_rate_{name}_hz"] = firing_rates(output.zeta, dt_ms=module.config.dt_ms).mean()
    if inner.training_output is not None:
        metrics["signal_training"] = inner.training_output.signal.square().mean().sqrt()
        metrics["signal_test"] = inner.test_output.signal.square().mean().sqrt()
    return {name: float(value) for name, value in metrics.items()}


@torch.no_grad()
def arrays(module: Any) -> dict[str, np.ndarray[Any, Any]]:
    """One movement, the training trial and the test trial: positions of tip and elbow [trial, time, (x, y)], velocities
    [trial, time, joint] in rad/s, spikes of the network and the error module [trial, neuron, time], learning signals
    [trial, time, neuron], the input [channel, time]; and the target's own."""
    config = module.config
    tasks = batch(config, module.seed, "test", EXAMPLE, 1)
    tasks = module.transfer_batch_to_device(tasks, module.device, 0)
    inner = module.inner_loop(tasks, test_output=True)
    target = joints(tasks.movements.angles[0])
    trials = [inner.training, inner.test]
    shown = {
        "target": target.tip,
        "target_elbow": target.elbow,
        "target_velocities": tasks.movements.velocities[0],
        "tip": torch.stack([tip(integrate(trial.y, config.dt_ms))[0] for trial in trials]),
        "velocities": torch.stack([trial.y[0] for trial in trials]),
    }
    spikes = {
        "inputs": tasks.inputs.dense()[0].T,
        "spikes": torch.stack([trial.trajectory.z[0, :, :SHOWN].T for trial in trials]),
    }
    if inner.training_output is not None:
        outputs = [inner.training_output, inner.test_output]
        shown["signals"] = torch.stack([each.signal[0, :, :SIGNALS] for each in outputs])
        spikes["module_spikes"] = torch.stack([each.zeta[0, :, :SHOWN].T for each in outputs])
    return {
        **{f"example_{name}": x.cpu().numpy().astype(np.float32) for name, x in shown.items()},
        **{f"example_{name}": x.cpu().numpy().astype(np.uint8) for name, x in spikes.items()},
    }
