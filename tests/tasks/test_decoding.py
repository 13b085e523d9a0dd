"""Fig. 2b: the decoded traces are those of the paper, and the classifier reaches the possible accuracy."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from tasks.store_recall import decoding
from tasks.store_recall.config import StoreRecallConfig
from tasks.store_recall.module import StoreRecallModule


@pytest.fixture
def module() -> StoreRecallModule:
    """300 ms after the STORE in place of 6 s, and 40 simulations."""
    network = {"n_lif": 3, "n_alif": 4, "group_channels": 5, "v_th": 0.2}
    decoded = {"decode_after_ms": 300, "decode_fitted": 30, "decode_tested": 10}
    return StoreRecallModule(dataclasses.replace(StoreRecallConfig(), **network, **decoded), 0)


def test_window_means_are_those_of_the_printed_recursion(module: StoreRecallModule) -> None:
    """Eq. 22, 27, 28 step by step for the input synapses of one simulation."""
    config = module.config
    layer: Any = module.network.layer
    inputs, _ = decoding.simulations(config, "values", module.seed)
    trajectory, _ = layer.simulate(inputs)
    assert 0.005 < float(trajectory.z.mean()) < 0.2, "the network is not alive"
    means, bits = decoding.window_means(module, "values")
    x, h = inputs.dense()[3], trajectory.h[3]
    unit = layer.neuron
    beta, trace, slow = unit.adaptation(h[0])[:, None], torch.zeros(20), torch.zeros(7, 20)
    e, epsilon = [], []
    for t in range(500):
        trace = unit.alpha * trace + x[t]
        epsilon.append(slow.clone())
        e.append(h[t][:, None] * (trace - beta * slow))
        slow = h[t][:, None] * trace + (unit.rho - h[t][:, None] * beta) * slow  # Eq. 27
    for window in range(len(decoding.delays_ms(config))):
        inside = slice(200 + 50 * window, 300 + 50 * window)
        wanted = torch.stack(e[inside]).mean(dim=0).flatten()
        torch.testing.assert_close(torch.from_numpy(means["trace"][window, 3, :140]), wanted, rtol=1e-3, atol=1e-5)
        wanted = torch.stack(epsilon[inside]).mean(dim=0)[3:].flatten()
        torch.testing.assert_close(torch.from_numpy(means["adaptation"][window, 3, :80]), wanted, rtol=1e-3, atol=1e-5)
    assert means["trace"].shape == (5, 40, 7 * 27)
    assert means["adaptation"].shape == (5, 40, 4 * 27)
    assert np.abs(means["trace"][0] - means["trace"][2]).max() > 1e-3  # control: windows differ
    assert set(bits) == {0, 1}


def test_silence_leaves_nothing_in_the_trace_but_in_its_slow_component(module: StoreRecallModule) -> None:
    module.config = dataclasses.replace(module.config, decode_after_ms=1500)
    means, _ = decoding.window_means(module, "silence")
    assert decoding.decay_ms(means["adaptation"], module.config)["trace_decay_ms"] == pytest.approx(1200, rel=0.1)
    assert np.abs(means["trace"][-1]).max() < 1e-6
    assert np.abs(means["adaptation"][-1]).max() > 1e-3


def test_a_bit_that_is_there_is_found_and_one_that_is_not_is_not() -> None:
    random = np.random.default_rng(0)
    bits = random.integers(2, size=200)
    noise = random.normal(size=(3, 200, 40))
    informative = noise + np.array([0.0, 0.0, 4.0])[:, None, None] * bits[:, None] * (np.arange(40) < 5)
    informative[1] = 0
    found = decoding.accuracies(informative, bits, 150)
    assert found[2] > 0.95
    assert 0.3 < found[0] < 0.7
    assert 0.3 < found[1] < 0.7  # nothing at all


def test_a_classifier_that_was_fitted_to_one_bit_alone_answers_that_bit() -> None:
    means, bits = np.random.default_rng(0).normal(size=(2, 6, 3)), np.array([1, 1, 1, 0, 1, 0])
    assert decoding.accuracies(means, bits, 2) == [0.5, 0.5]


def test_simulations_show_the_bit_with_the_store_and_then_what_they_should(module: StoreRecallModule) -> None:
    for source, later in (("silence", 0.0), ("values", 0.05 * 0.25)):
        inputs, bits = decoding.simulations(module.config, source, 0)
        spikes = inputs.dense()
        first, rest = spikes[:, :200].unflatten(2, (4, 5)), spikes[:, 200:]
        assert torch.equal(first[:, :, 1].any(dim=2).any(dim=1), bits == 1)
        assert torch.equal(first[:, :, 0].any(dim=2).any(dim=1), bits == 0)
        assert first[:, :, 2].any()
        assert not first[:, :, 3].any()
        assert float(rest.mean()) == pytest.approx(later, rel=0.05)
