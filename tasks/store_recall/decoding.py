"""Fig. 2b: decoding of a stored bit from the eligibility traces, against the delay.

One STORE period, then up to 6 s in which only the traces can remember. For a window of 100 ms at every multiple of
50 ms a logistic regression with a squared regulariser predicts the bit from the traces' means over the window; it is
fitted to 150 simulations and tested on 50 others.

Which trace is open. Without input the voltage comes to rest, h_j = gamma max(0, -beta a_j / v_th) = 0, and with it
every e_ji is zero, so that e itself can carry nothing through silence; its slow component epsilon_a (Eq. 27) can. Both
are decoded, after the STORE with and without further values: four curves per age, all in the record.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.neuron import Trajectory
from repro.eprop.rules.synapses import FusedSynapses
from repro.runs.seeds import generator
from tasks.store_recall.config import AGES, StoreRecallConfig
from tasks.store_recall.data import Schedule, active_groups, poisson

WINDOW_MS, EVERY_MS = 100, 50  # Store-recall task 1.2
STRENGTH = 1.0  # scikit-learn's C for standardised traces; the text leaves the regulariser's strength open
AT_4_S = (3800.0, 4200.0)  # windows averaged for "4 s": fifty tests alone are coarse
LONG_MS = 2 * 1200.0  # "much longer than tau_a"
TRACES, INPUTS = ("adaptation", "trace"), ("silence", "values")

Curves = dict[str, np.ndarray[Any, Any]]


def decode(
    module: Any, ages: Sequence[int], snapshots: Sequence[Mapping[str, Tensor]]
) -> tuple[dict[str, float], Curves]:
    """Decode at the `ages` whose weights are given; the numbers of the claims and the curves of the figure.

    `decode_TRACE_INPUT` [age, delay] are accuracies at `decode_delay_ms` [delay], from the end of the STORE to the
    middle of a window.
    """
    config: StoreRecallConfig = module.config
    curves: Curves = {"decode_ages": np.array(ages), "decode_delay_ms": delays_ms(config)}
    decay: dict[str, float] = {}
    for source in INPUTS:
        by_trace: dict[str, list[Any]] = {trace: [] for trace in TRACES}
        for weights in snapshots:
            _set_weights(module.network, weights)
            means, bits = window_means(module, source)
            for trace in TRACES:
                by_trace[trace].append(accuracies(means[trace], bits, config.decode_fitted))
            if source == "silence":
                decay = decay_ms(means["adaptation"], config)
        curves |= {f"decode_{trace}_{source}": np.array(by_trace[trace], np.float32) for trace in TRACES}
    return summary(curves, config) | decay, curves


@torch.no_grad()
def _set_weights(network: Any, weights: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        network.get_parameter(name).copy_(weight)


def summary(curves: Curves, config: StoreRecallConfig) -> dict[str, float]:
    """The claims' metrics for the chosen reading, and for the others by name; none for delays that were not tested."""
    delay = curves["decode_delay_ms"]
    metrics: dict[str, float] = {}
    for trace in TRACES:
        for source in INPUTS:
            accuracy = curves[f"decode_{trace}_{source}"]
            numbers = {f"decode_{age}": float(curve.mean()) for age, curve in zip(AGES, accuracy, strict=True)}
            spans = {"decode_4s": (delay >= AT_4_S[0]) & (delay <= AT_4_S[1]), "decode_long": delay >= LONG_MS}
            numbers |= {name: float(accuracy[-1][span].mean()) for name, span in spans.items() if span.any()}
            if (trace, source) == (config.decode_from, config.decode_input):
                metrics |= numbers
            metrics |= {f"{name}_{trace}_{source}": value for name, value in numbers.items()}
    return metrics


def delays_ms(config: StoreRecallConfig) -> np.ndarray[Any, Any]:
    """From the end of the STORE to the middle of each window."""
    return np.arange(0, config.decode_after_ms - WINDOW_MS + 1, EVERY_MS) + WINDOW_MS / 2


def simulations(config: StoreRecallConfig, source: str, seed: int) -> tuple[Any, Tensor]:
    """Input spikes of all simulations, STORE first, and the bits [simulation] that were shown with it."""
    random = generator(seed, "decoding", source)
    shape = config.decode_fitted + config.decode_tested, 1 + -(-config.decode_after_ms // config.period_ms)
    value = torch.randint(2, shape, generator=random)
    store, none = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    store[:, 0] = True
    active = active_groups(Schedule(value, store, none, torch.full(shape, -1)))
    if source == "silence":
        active[:, 1:] = False
    return poisson(config, active, random), value[:, 0]


def window_means(module: Any, source: str) -> tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """Means of each trace over each window, [window, simulation, synapse], and the bits [simulation].

    Synapses are all those onto the network, from the inputs and from itself; of epsilon_a those onto adaptive neurons.
    The traces that a synapse of a neuron onto itself would have are among them, though the network has none.
    """
    config, layer = module.config, module.network.layer
    inputs, bits = simulations(config, source, module.seed)
    trajectory, _ = layer.simulate(inputs)
    sent = torch.nn.functional.pad(trajectory.z[:, :-1], (0, 0, 1, 0))
    first, after = round(config.period_ms / config.dt_ms), round(config.decode_after_ms / config.dt_ms)
    both = [halves(layer.neuron, trajectory, pre, first, after) for pre in (inputs.dense(), sent)]
    means = {}
    for k, trace in enumerate(TRACES):
        pieces = np.concatenate([halves[k].flatten(2).numpy() for halves in both], axis=2)
        means[trace] = (pieces[:-1] + pieces[1:]) / 2
    return means, bits.numpy()


def halves(neuron: ALIF, trajectory: Trajectory, presynaptic: Tensor, first: int, after: int) -> tuple[Tensor, Tensor]:
    """Means over half windows of epsilon_a and of e, each [half, simulation, post, pre]: `after` steps from `first` on.

    The sum of epsilon_a over some steps follows from that of e: epsilon_a^(t+1) = rho epsilon_a^t + e^t (Eq. 27, 28).
    """
    batch, _, pre = presynaptic.shape
    n, width = trajectory.h.shape[2], round(EVERY_MS / neuron.dt_ms)
    synapses = FusedSynapses(batch, n, pre, trajectory.h, neuron)
    adapted, trace = [], []
    ends = range(first + width, first + after + 1, width)
    for start, end in itertools.pairwise((0, first, *ends)):
        before = synapses.adapted.clone()
        synapses.summed.zero_()
        h = trajectory.h[:, start:end]
        synapses.advance(trajectory._replace(h=h), torch.zeros_like(h), presynaptic[:, start:end], 0.0)
        if start >= first:
            trace.append(synapses.summed / width)
            slow = (synapses.summed - (synapses.adapted - before)) / ((1 - neuron.rho) * width)
            adapted.append(slow[:, neuron.adaptation(slow.new_empty(n)) > 0])
    return torch.stack(adapted), torch.stack(trace)


def accuracies(means: np.ndarray[Any, Any], bits: np.ndarray[Any, Any], fitted: int) -> list[float]:
    """One classifier per window, fitted to the first `fitted` simulations: its accuracy on the others."""
    from sklearn.linear_model import LogisticRegression

    shares = []
    for window in means:
        spread = window[:fitted].std(axis=0)
        varies = spread > 0
        if not varies.any() or len(set(bits[:fitted])) == 1:  # all simulations, or all bits, are the same
            shares.append(float(np.mean(bits[fitted:] == round(float(bits[:fitted].mean())))))
            continue
        scaled = (window[:, varies] - window[:fitted, varies].mean(axis=0)) / spread[varies]
        classifier = LogisticRegression(C=STRENGTH, max_iter=1000).fit(scaled[:fitted], bits[:fitted])
        shares.append(float(classifier.score(scaled[fitted:], bits[fitted:])))
    return shares


def decay_ms(adapted: np.ndarray[Any, Any], config: StoreRecallConfig) -> dict[str, float]:
    """The time constant with which epsilon_a decays in silence: least squares on the log of its mean size. Empty
    if epsilon_a is zero in a window."""
    size = np.abs(adapted).mean(axis=(1, 2))
    if not (size > 0).all():
        return {}
    return {"trace_decay_ms": float(-1 / np.polyfit(delays_ms(config), np.log(size), 1)[0])}
