"""The speech module on ragged utterances, against autograd through each utterance alone, without padding."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels.events import Held
from repro.runs.rules import feedback_of, rule_of
from tasks.speech.config import SpeechConfig
from tasks.speech.data import PADDING, SpeechBatch
from tasks.speech.features import CHANNELS
from tasks.speech.module import SpeechModule
from tests.oracle.conftest import relative
from tests.oracle.tools import assert_gradients_differ, assert_model_is_live

EXACT, WRONG = 1e-10, 1e-2
FRAMES = (9, 5, 12)
WEIGHTS = tuple(f"layer.{way}_layer.{weight}" for way in ("forward", "backward") for weight in ("w_in", "w_rec"))
READOUT = ("readout.w_out", "readout.b_out")
SMALL = SpeechConfig(
    n_lif=9, n_alif=6, v_th=0.6, beta=0.1, rate_loss="mean_hz", rate_cost=0.01, feedback="symmetric", corpus="stand_in"
)


def make(**values: Any) -> SpeechModule:
    config = dataclasses.replace(SMALL, **values)
    module = SpeechModule(config, 3).double()
    module.network.readout.feedback = feedback_of(config)
    with torch.no_grad():  # inputs of both signs, so that no neuron spikes at every step
        for layer in module.network.directions:
            layer.rule = rule_of(config)
            layer.w_in.mul_(0.4)
    return module


def make_batch(padding: int = 0) -> SpeechBatch:
    """Three utterances; `padding` more frames than the longest has, filled with noise."""
    random = torch.Generator().manual_seed(5)
    width = max(FRAMES) + padding
    frames = torch.randn(3, width, CHANNELS, generator=random, dtype=torch.float64)
    labels = torch.randint(61, (3, width), generator=random)
    real = torch.tensor(FRAMES)
    frames[:, : max(FRAMES)] = torch.randn(
        3, max(FRAMES), CHANNELS, generator=torch.Generator().manual_seed(6), dtype=torch.float64
    )
    labels[:, : max(FRAMES)] = torch.randint(61, (3, max(FRAMES)), generator=torch.Generator().manual_seed(7))
    labels[torch.arange(width) >= real[:, None]] = PADDING
    return SpeechBatch(Held(frames, SMALL.frame_steps), labels, real * SMALL.frame_steps)


def gradients(module: SpeechModule, batch: SpeechBatch) -> dict[str, Tensor]:
    """Of all parameters, by name."""
    module.zero_grad()
    output = module.step(batch)
    output.loss.backward()
    found = {name: p.grad.clone() for name, p in module.network.named_parameters() if p.grad is not None}
    assert_model_is_live(output.spikes, gradients=found)
    return found


def filtered(drive: Tensor, kappa: float) -> Tensor:
    last, out = torch.zeros_like(drive[0]), []
    for row in drive:
        last = kappa * last + row
        out.append(last)
    return torch.stack(out)


def reference(
    module: SpeechModule, batch: SpeechBatch, detach: bool, feedback: Tensor | None = None
) -> dict[str, Tensor]:
    """By autograd, an utterance at a time, as the text describes it. With `feedback` [neuron, readout] an error reaches
    the neurons through it and not through the readout's weights."""
    network, c = module.network, module.config
    forward, backward = network.directions
    total, spikes, steps = torch.zeros((), dtype=torch.float64), torch.zeros(2 * forward.n, dtype=torch.float64), 0
    for frames, labels in zip(batch.inputs.frames, batch.labels, strict=True):
        real = int((labels >= 0).sum())
        x = frames[:real].repeat_interleave(c.frame_steps, dim=0)
        z_forward = forward.unroll(x[None], detach, detach)[0][0]
        z_backward = backward.unroll(x.flip(0)[None], detach, detach)[0][0].flip(0)
        z, w_out = torch.cat([z_forward, z_backward], dim=1), network.readout.w_out
        drive = z @ w_out.T
        if feedback is not None:
            drive = z.detach() @ w_out.T + (z - z.detach()) @ feedback
        if c.readout_every == "frame":
            drive = drive.unflatten(0, (real, c.frame_steps)).mean(dim=1)
        y = filtered(drive, network.readout.kappa) + network.readout.get_parameter("b_out")
        wanted = labels[:real].repeat_interleave(len(y) // real)
        loss = torch.nn.functional.cross_entropy(y, wanted, reduction=c.task_loss)
        total, spikes, steps = total + loss / len(batch.labels), spikes + z.sum(dim=0), steps + len(x)
    loss = total + module.rate.loss(spikes * 1000 / steps)
    names, parameters = zip(*network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


@pytest.mark.parametrize("task_loss", ["sum", "mean"])
@pytest.mark.parametrize("readout_every", ["ms", "frame"])
@pytest.mark.parametrize("algorithm", ["eprop", "bptt"])
def test_a_padded_batch_is_its_utterances_alone(algorithm: str, readout_every: str, task_loss: str) -> None:
    module = make(algorithm=algorithm, readout_every=readout_every, task_loss=task_loss)
    found = gradients(module, make_batch(padding=4))
    wanted = reference(module, make_batch(), detach=algorithm == "eprop")
    assert max(relative(found[name], wanted[name]) for name in WEIGHTS + READOUT) < EXACT
    other = reference(module, make_batch(), detach=algorithm != "eprop")  # control
    assert_gradients_differ(found, other, WRONG, WEIGHTS)


def test_random_feedback_of_variance_one_has_rows_of_both_directions() -> None:
    module = make(feedback="random")
    found = gradients(module, make_batch())
    drawn = module.network.readout.feedback_weights(1)[0]
    assert drawn.shape == (30, 61)
    assert 0.9 < drawn.std() < 1.1  # variance 1, not 1/n
    wanted = reference(module, make_batch(), detach=True, feedback=drawn)
    assert max(relative(found[name], wanted[name]) for name in WEIGHTS) < EXACT
    swapped = reference(module, make_batch(), detach=True, feedback=drawn.roll(15, dims=0))  # control
    assert_gradients_differ(found, swapped, WRONG, WEIGHTS)


def test_an_untrained_network_keeps_its_weights_and_trains_its_readout() -> None:
    module = make(algorithm="readout_only")
    found = gradients(module, make_batch())
    assert set(found) == set(READOUT)
    wanted = reference(module, make_batch(), detach=True)
    assert max(relative(found[name], wanted[name]) for name in READOUT) < EXACT


def test_a_module_without_a_rule_learns_by_bptt() -> None:
    plain = SpeechModule(SMALL, 3).double()
    with torch.no_grad():
        for layer in plain.network.directions:
            layer.w_in.mul_(0.4)
    found, wanted = (gradients(module, make_batch(padding=4)) for module in (plain, make(algorithm="bptt")))
    assert max(relative(found[name], wanted[name]) for name in wanted) < EXACT
    assert_gradients_differ(found, gradients(make(), make_batch(padding=4)), WRONG, WEIGHTS)  # control: e-prop
