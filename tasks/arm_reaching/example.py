"""What a trained network of task 2.1 does with movements that it has never seen: numbers, and one example."""

from typing import Any

import numpy as np
import torch

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
    found = [_numbers(module, index, size) for index, size in enumerate(sizes)]
    means = {name: float(np.average([numbers[name] for numbers in found], weights=sizes)) for name in found[0]}
    return means | ({} if module.error_module is None else {"signal_by_error": _signal_by_error(module)})


def _signal_by_error(module: Any) -> float:
    """The largest change of a learning signal, over the largest signal, when every readout, and so every error and
    every position of the arm, is another: the readout's weights are negated for once."""
    tasks = batch(module.config, module.seed, "test", EXAMPLE, 1)
    tasks = module.transfer_batch_to_device(tasks, module.network.w_in.device, 0)
    said, weights = [], module.network.w_out
    for _ in range(2):
        said.append(module.lesson(tasks, again=False).taught.signal)
        weights.neg_()
    return float((said[0] - said[1]).abs().max() / said[0].abs().max().clamp(min=1e-30))


def _numbers(module: Any, index: int, size: int) -> dict[str, float]:
    tasks = batch(module.config, module.seed, "test", index, size)
    tasks = module.transfer_batch_to_device(tasks, module.network.w_in.device, 0)
    lesson = module.lesson(tasks, again=True)
    trained, tested = (module.metrics(trial.readout, tasks) for trial in (lesson.training, lesson.test))
    at_rest = module.metrics(torch.zeros_like(lesson.test.readout), tasks)["test_mse"]
    network, both = module.rates(lesson, both=True)
    found = {
        "test_mse": tested["test_mse"],
        "training_mse": trained["test_mse"],
        "motor_mse": tested["motor_mse"],
        "at_rest_mse": at_rest,
        "rate_hz": network.mean(),
    }
    if both is not None:
        found["module_rate_hz"] = both.mean()
        found["module_rate_training_hz"] = module.rate.rates_hz(lesson.taught.spikes).mean()
        found["module_rate_test_hz"] = module.rate.rates_hz(lesson.taught_again.spikes).mean()
    if lesson.taught is not None:
        found["signal_training"] = lesson.taught.signal.square().mean().sqrt()
        found["signal_test"] = lesson.taught_again.signal.square().mean().sqrt()
    return {name: float(value) for name, value in found.items()}


@torch.no_grad()
def arrays(module: Any) -> dict[str, np.ndarray[Any, Any]]:
    """One movement, the training trial and the test trial: positions of tip and elbow [trial, time, (x, y)], velocities
    [trial, time, joint] in rad/s, spikes of the network and the error module [trial, neuron, time], learning signals
    [trial, time, neuron], the input [channel, time]; and the target's own."""
    config = module.config
    tasks = batch(config, module.seed, "test", EXAMPLE, 1)
    tasks = module.transfer_batch_to_device(tasks, module.network.w_in.device, 0)
    lesson = module.lesson(tasks, again=True)
    target = joints(tasks.movements.angles[0])
    trials = [lesson.training, lesson.test]
    shown = {
        "target": target.tip,
        "target_elbow": target.elbow,
        "target_velocities": tasks.movements.velocities[0],
        "tip": torch.stack([tip(integrate(trial.readout, config.dt_ms))[0] for trial in trials]),
        "velocities": torch.stack([trial.readout[0] for trial in trials]),
    }
    spikes = {
        "inputs": tasks.inputs.dense()[0].T,
        "spikes": torch.stack([trial.activity.z[0, :, :SHOWN].T for trial in trials]),
    }
    if lesson.taught is not None:
        taught = [lesson.taught, lesson.taught_again]
        shown["signals"] = torch.stack([each.signal[0, :, :SIGNALS] for each in taught])
        spikes["module_spikes"] = torch.stack([each.spikes[0, :, :SHOWN].T for each in taught])
    return {
        **{f"example_{name}": x.cpu().numpy().astype(np.float32) for name, x in shown.items()},
        **{f"example_{name}": x.cpu().numpy().astype(np.uint8) for name, x in spikes.items()},
    }
