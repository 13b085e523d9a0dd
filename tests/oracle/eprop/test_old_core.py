"""The layers against the callback before them, on the networks of the tasks; and the authors' published losses."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from repro.eprop import (
    BPTT,
    LIF,
    Bidirectional,
    EProp,
    Feedback,
    Frozen,
    Held,
    RateTerm,
    Readout,
    RecurrentLayer,
    Rule,
    SpikingNetwork,
    Trace,
)
from repro.rules.callback import LearningRuleCallback
from repro.rules.settings import RuleSettings
from tasks.pattern_generation.config import VARIANTS as PATTERNS
from tasks.pattern_generation.config import PatternGenerationConfig
from tasks.pattern_generation.data import PatternGenerationData
from tasks.pattern_generation.data import Trial as PatternTrial
from tasks.pattern_generation.module import PatternGenerationModule
from tasks.speech.config import SpeechConfig
from tasks.speech.data import PADDING, Batch
from tasks.speech.features import CHANNELS
from tasks.speech.module import SpeechModule
from tasks.store_recall.config import VARIANTS as RECALL
from tasks.store_recall.config import StoreRecallConfig
from tasks.store_recall.data import trials
from tasks.store_recall.module import StoreRecallModule
from tests.oracle.eprop.conftest import WRONG, relative
from tests.oracle.test_published_losses import PUBLISHED

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])


class Trainer:
    """As much of one as the callback looks at."""

    accumulate_grad_batches = 1
    is_last_batch = False

    def __init__(self, rule: LearningRuleCallback) -> None:
        self.callbacks = [rule]


def rule_of(c: RuleSettings) -> Rule:
    if c.algorithm == "eprop":
        return EProp(Trace(c.trace, c.clopath_thresholds, c.clopath_rectified))
    return BPTT() if c.algorithm == "bptt" else Frozen()


def layers_of(module: Any, wrong: bool = False) -> SpikingNetwork:
    """The same network, weights and feedback in the new layers; with `wrong` another rule and another kappa."""
    c, old, ways = module.config, module.network, module.network.directions
    dtype = ways[0].network.w_in.dtype
    layers, rule = [], rule_of(c)
    if wrong:
        rule = BPTT() if isinstance(rule, EProp) and rule.trace.kind == "full" else EProp()
    for way in ways:
        w_in, w_rec = way.network.w_in, way.network.w_rec
        n, n_in = w_in.shape
        layer = RecurrentLayer(way.network.neuron, n_in, n, recurrent=w_rec is not None, rule=rule).to(dtype)
        layer.w_in.data = w_in.detach().clone()
        if w_rec is not None:
            layer.w_rec.data = w_rec.detach().clone()
        layers.append(layer)
    feedback = Feedback(c.feedback, c.feedback_window_ms, c.feedback_time, c.feedback_variance)
    readout = Readout(
        old.n_rec,
        old.n_out,
        old.readout.tau_out_ms,
        feedback=feedback if c.algorithm == "eprop" else "symmetric",
        one_minus_kappa=old.readout.one_minus_kappa,
        bias=len(ways) > 1,
        frame_steps=old.readout.frame_steps,
    ).to(dtype)
    readout.w_out.data = torch.cat([way.network.w_out for way in ways], dim=1).detach().clone()
    if readout.b_out is not None:
        readout.b_out.data = old.b_out.detach().clone()
    readout._drawn = module.feedback_weights
    readout.kappa *= 0.8 if wrong else 1.0
    return SpikingNetwork(layers[0] if len(layers) == 1 else Bidirectional(*layers), readout)


def old_gradients(module: Any, rule: LearningRuleCallback, batch: Any) -> tuple[Tensor, dict[str, Tensor | None]]:
    module.zero_grad()
    outcome = rule.loss(module, batch, 0)
    outcome.loss.backward()
    found: dict[str, Tensor | None] = {}
    ways = module.network.directions
    for name, way in zip(("forward", "backward"), ways, strict=False):
        found |= {f"{name}.w_in": way.network.w_in.grad}
        found |= {f"{name}.w_rec": way.network.w_rec.grad} if way.network.w_rec is not None else {}
    found["w_out"] = torch.cat([way.network.w_out.grad for way in ways], dim=1)
    if len(ways) > 1:
        found["b_out"] = module.network.b_out.grad
    assert 1 < float(outcome.rates_hz.mean()) < 250, "the network is not alive"
    return outcome.loss.detach(), found


def new_gradients(
    module: Any, batch: Any, state: Any = None, wrong: bool = False
) -> tuple[Tensor, dict[str, Tensor | None], Any]:
    c, network = module.config, layers_of(module, wrong)
    lengths = getattr(batch, "lengths", None)
    y, z, *after = network(batch.inputs, state, lengths, return_state=len(network.directions) == 1)
    rate = RateTerm(c.rate_loss, c.rate_cost, c.target_rate_hz, c.dt_ms)
    loss = module.objective(y, batch) + rate(z, lengths)
    loss.backward()
    found: dict[str, Tensor | None] = {}
    for name, layer in zip(("forward", "backward"), network.directions, strict=False):
        found |= {f"{name}.w_in": layer.w_in.grad}
        found |= {f"{name}.w_rec": layer.w_rec.grad} if layer.w_rec is not None else {}
    found["w_out"] = network.readout.w_out.grad
    if network.readout.b_out is not None:
        found["b_out"] = network.readout.b_out.grad
    return loss.detach(), found, after[0] if after else None


def claimed(module: Any) -> LearningRuleCallback:
    rule = LearningRuleCallback(module.config, module.config.dt_ms)
    rule.setup(Trainer(rule), module, "fit")
    return rule


def compare(module: Any, rule: LearningRuleCallback, batch: Any, tolerance: float, state: Any = None) -> Any:
    loss, wanted = old_gradients(module, rule, batch)
    found_loss, found, after = new_gradients(module, batch, state)
    assert relative(found_loss, loss) < tolerance
    assert found.keys() == wanted.keys()
    for name, old in wanted.items():
        new = found[name]
        if old is None:
            assert new is None
            assert name not in ("w_out", "b_out")
        else:
            assert new is not None
            assert relative(new, old) < tolerance, name
            assert new.any(), name
    _, wrong, _ = new_gradients(module, batch, state, wrong=True)  # control
    for name, old in wanted.items():
        assert old is None or wrong[name] is None or relative(wrong[name], old) > WRONG, name
    return after


@PRECISIONS
@pytest.mark.parametrize("variant", PATTERNS)
def test_pattern_generation(variant: str, dtype: torch.dtype, tolerance: float) -> None:
    """600 neurons, 1000 ms, in all variants of Fig. 1."""
    config = PatternGenerationConfig(**PATTERNS[variant].settings)
    if dtype == torch.float64:
        config = dataclasses.replace(config, n_rec=150, trial_ms=400)
    module = PatternGenerationModule(config, 3).to(dtype)
    trial = PatternGenerationData(config, 3).trial
    batch = PatternTrial(trial.inputs.to(dtype), trial.target.to(dtype))
    compare(module, claimed(module), batch, tolerance)


@pytest.mark.parametrize("reading", ["sum_khz", "mean_hz", "population_khz"])
@pytest.mark.parametrize("values", [{"feedback_window_ms": 7, "feedback_time": "slice"}, {"task_loss": "mean"}])
def test_readings_of_pattern_generation(reading: str, values: dict[str, Any]) -> None:
    config = PatternGenerationConfig(n_rec=80, trial_ms=300, batch_size=3, rate_loss=reading, **values)
    module = PatternGenerationModule(config, 3).double()
    trial = PatternGenerationData(config, 3).trial
    compare(module, claimed(module), PatternTrial(trial.inputs.double(), trial.target.double()), 1e-12)


@PRECISIONS
@pytest.mark.parametrize("states", ["reset", "carried"])
@pytest.mark.parametrize("variant", RECALL)
def test_store_recall(variant: str, states: str, dtype: torch.dtype, tolerance: float) -> None:
    """2400 ms, a batch as events; two batches one after the other where states are carried."""
    values = {"batch_size": 32 if dtype == torch.float32 else 4, "rate_cost": 0.5, "rate_loss": "mean_khz"}
    config = StoreRecallConfig(**{**RECALL[variant].settings, **values, "states": states})
    module = StoreRecallModule(config, 5).to(dtype)
    rule, state = claimed(module), None
    for index in range(1 if states == "reset" else 2):
        batch = trials(config, 5, "training", index)
        state = compare(module, rule, batch, tolerance, state if states == "carried" else None)


def speech_batch(dtype: torch.dtype) -> Batch:
    random, frames = torch.Generator().manual_seed(8), torch.tensor([40, 23, 31])
    labels = torch.randint(61, (3, 40), generator=random)
    labels[torch.arange(40) >= frames[:, None]] = PADDING
    return Batch(Held(torch.rand(3, 40, CHANNELS, generator=random).to(dtype), 5), labels, frames * 5)


SPEECH: dict[str, dict[str, Any]] = {
    "readout_only": {"algorithm": "readout_only"},
    "e_prop_1": {},
    "one_over_n": {"feedback_variance": "one_over_n"},
    "symmetric": {"feedback": "symmetric"},
    "bptt": {"algorithm": "bptt"},
    "truncated": {"trace": "truncated"},
}


@PRECISIONS
@pytest.mark.parametrize("variant", SPEECH)
@pytest.mark.parametrize("readout_every", ["ms", "frame"])
def test_speech(variant: str, readout_every: str, dtype: torch.dtype, tolerance: float) -> None:
    """Both directions, ragged utterances, frames that are held; a threshold at which noise makes neurons fire."""
    whole = dtype == torch.float32 and readout_every == "ms"
    size = {"n_lif": 300, "n_alif": 100} if whole else {"n_lif": 30, "n_alif": 10}
    values = size | {"v_th": 1.2, "readout_every": readout_every, "corpus": "stand_in"} | SPEECH[variant]
    module = SpeechModule(SpeechConfig(**values), 4).to(dtype)
    module.network.b_out.data += 0.1
    compare(module, claimed(module), speech_batch(dtype), tolerance)


def published(tau_m_ms: float = 30.0, rate_cost: float = 150.0) -> list[float]:
    """The authors' tutorial (as NEST publishes its losses), trained through the layers with torch's own SGD."""
    n, steps, random = 100, 1000, np.random.RandomState(1)
    w_in, w_rec, w_out, b = (
        torch.tensor((random.randn(n, m) / n**0.5).astype(np.float32).astype(float)) for m in (n, n, 1, 1)
    )
    x = torch.tensor((random.rand(steps, n) < 0.05).astype(float))
    x[0] = 0
    amplitude, phase = random.uniform(0.5, 2, 4), random.uniform(0, 2 * np.pi, 4)
    waves = zip(amplitude, phase, (1000, 500, 333, 200), strict=True)
    target = sum(a * np.sin(np.linspace(p, p + 2 * np.pi * (steps // period), steps)) for a, p, period in waves)
    target = target - target[0]
    wanted = torch.tensor(target / np.abs(target).max())[None, :, None]
    neuron = LIF(tau_m_ms, v_th=0.03 / (1 - np.exp(-1 / tau_m_ms)), refractory_ms=0)
    layer = RecurrentLayer(neuron, n, n, rule=EProp()).double()
    readout = Readout(n, 1, 30.0, one_minus_kappa=True, feedback="random").double()
    layer.w_in.data, layer.w_rec.data, readout.w_out.data = w_in.T, w_rec.T.fill_diagonal_(0), w_out.T
    readout._drawn, network = b[None], SpikingNetwork(layer, readout)
    optimizer, losses, rate = torch.optim.SGD(network.parameters(), lr=1e-4), [], RateTerm("sum_khz", rate_cost, 10.0)
    for _ in range(5):
        optimizer.zero_grad()
        y, z = network(x[None])
        loss = 0.5 * (y - wanted).square().sum()
        losses.append(float(loss.detach()))
        (loss + rate(z)).backward()
        optimizer.step()
    return losses


def test_five_published_losses() -> None:
    assert published() == pytest.approx(PUBLISHED, rel=1e-7)


@pytest.mark.parametrize("change", [{"tau_m_ms": 20.0}, {"rate_cost": 0.0}])
def test_control_another_time_constant_or_no_rate_term(change: dict[str, float]) -> None:
    assert published(**change) != pytest.approx(PUBLISHED, rel=1e-7)
