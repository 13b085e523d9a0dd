"""The example of panel 2a: one validation trial of the trained network."""

from typing import Any

import numpy as np
import torch

from repro.eprop.neurons.alif import ALIF
from tasks.store_recall.data import RecallTrial, trials

SEARCHED = 20  # batches, for a trial with as many RECALLs as the paper's example shows
RECALLS = 2


def arrays(module: Any) -> dict[str, np.ndarray[Any, Any]]:
    """A validation trial not used in training: input spikes [channel, time], spikes [neuron, time] (LIF first),
    thresholds [adaptive neuron, time], the probability of each bit [time, 2], and the schedule [period]."""
    network, config = module.network, module.config
    batch, index = _with_recalls(module)
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


def _with_recalls(module: Any) -> tuple[RecallTrial, int]:
    """The first trial with RECALLs enough, or the one that has most; from batches after those that a run can reach."""
    best: tuple[int, RecallTrial, int] | None = None
    for extra in range(SEARCHED):
        batch = trials(module.config, module.seed, "validation", module.config.iterations + extra)
        counts = batch.schedule.recall.sum(dim=1)
        index = int((counts >= RECALLS).int().argmax()) if (counts >= RECALLS).any() else int(counts.argmax())
        if best is None or counts[index] > best[0]:
            best = int(counts[index]), batch, index
        if best[0] >= RECALLS:
            break
    assert best is not None
    return best[1], best[2]
