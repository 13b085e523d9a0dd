"""The example of panel 2a: one validation trial of the trained network."""

from typing import Any

import numpy as np
import torch

from repro.eprop.neurons.alif import ALIF
from tasks.store_recall.data import RecallTrial, trials

SEARCHED = 20  # batches, for a trial that asks for both bits


def arrays(module: Any) -> dict[str, np.ndarray[Any, Any]]:
    """A validation trial not used in training: input spikes [channel, time], spikes [neuron, time] (LIF first),
    thresholds [adaptive neuron, time], the probability of each bit [time, 2], and the schedule [period]."""
    network, config = module.network, module.config
    batch, index = _both_bits(module)
    inputs = batch.inputs.dense()[index : index + 1]
    with torch.no_grad():
        z, variables = network.layer.unroll(inputs.to(module.device))
        probability = torch.softmax(network.readout(z), dim=-1)[0]
    neuron: ALIF = network.layer.neuron
    threshold = neuron.threshold(variables[1])[0, :, config.n_lif :]
    return {
        "example_inputs": inputs[0].T.numpy().astype(np.uint8),
        "example_spikes": z[0].T.cpu().numpy().astype(np.uint8),
        "example_thresholds": threshold.T.cpu().numpy().astype(np.float16),
        "example_probability": probability.cpu().numpy().astype(np.float16),
        **{
            f"example_{name}": series[index].numpy().astype(np.int8)
            for name, series in batch.schedule._asdict().items()
        },
    }


def _both_bits(module: Any) -> tuple[RecallTrial, int]:
    """The first trial that asks for both bits, or the one with most RECALLs; from batches after those that a run can
    reach."""
    best: tuple[int, RecallTrial, int] | None = None
    for extra in range(SEARCHED):
        batch = trials(module.config, module.seed, "validation", module.config.iterations + extra)
        target, counts = batch.schedule.target, batch.schedule.recall.sum(dim=1)
        both = (target == 0).any(dim=1) & (target == 1).any(dim=1)
        if both.any():
            return batch, int(both.int().argmax())
        index = int(counts.argmax())
        if best is None or counts[index] > best[0]:
            best = int(counts[index]), batch, index
    assert best is not None
    return best[1], best[2]
