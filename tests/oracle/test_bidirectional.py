"""Networks that read ragged utterances both ways, against autograd through each utterance alone, without padding."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels.events import Held
from repro.eprop.kernels.padding import flip
from repro.rules.callback import LearningRuleCallback
from tasks.speech.config import SpeechConfig
from tasks.speech.data import PADDING, Batch
from tasks.speech.features import CHANNELS
from tasks.speech.module import SpeechModule
from tests.oracle.conftest import relative
from tests.oracle.tools import assert_gradients_differ, assert_model_is_live

EXACT, WRONG = 1e-10, 1e-2
FRAMES = (9, 5, 12)
WEIGHTS = ("ahead.w_in", "ahead.w_rec", "behind.w_in", "behind.w_rec")
READOUT = ("ahead.w_out", "behind.w_out", "b_out")
SMALL = SpeechConfig(
    n_lif=9, n_alif=6, v_th=0.6, beta=0.1, rate_loss="mean_hz", rate_cost=0.01, feedback="symmetric", corpus="stand_in"
)


class Trainer:
    """As much of one as the callback looks at."""

    accumulate_grad_batches = 1
    is_last_batch = False

    def __init__(self, rule: LearningRuleCallback) -> None:
        self.callbacks = [rule]


def make(**values: Any) -> tuple[SpeechModule, LearningRuleCallback]:
    config = dataclasses.replace(SMALL, **values)
    module, rule = SpeechModule(config, 3).double(), LearningRuleCallback(config)
    with torch.no_grad():  # inputs of both signs, so that no neuron fires at every step
        for way in module.network.directions:
            way.network.w_in.mul_(0.4)
    rule.setup(Trainer(rule), module, "fit")
    return module, rule


def make_batch(padding: int = 0) -> Batch:
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
    return Batch(Held(frames, SMALL.frame_steps), labels, real * SMALL.frame_steps)


def gradients(module: SpeechModule, rule: LearningRuleCallback, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """Of all parameters, by name, and the readout."""
    module.zero_grad()
    outcome = rule.loss(module, batch, 0)
    outcome.loss.backward()
    found = {name: p.grad.clone() for name, p in module.network.named_parameters()}
    assert_model_is_live(outcome.spikes, gradients=found)
    return found, outcome.readout


def filtered(drive: Tensor, kappa: float) -> Tensor:
    last, out = torch.zeros_like(drive[0]), []
    for row in drive:
        last = kappa * last + row
        out.append(last)
    return torch.stack(out)


def reference(module: SpeechModule, batch: Batch, detach: bool, feedback: Tensor | None = None) -> dict[str, Tensor]:
    """By autograd, an utterance at a time, as the text describes it. With `feedback` [neuron, readout] an error reaches
    the neurons through it and not through the readout's weights."""
    network, c = module.network, module.config
    total, spikes, steps = torch.zeros((), dtype=torch.float64), torch.zeros(network.n_rec, dtype=torch.float64), 0
    for frames, labels in zip(batch.inputs.frames, batch.labels, strict=True):
        real = int((labels >= 0).sum())
        x = frames[:real].repeat_interleave(c.frame_steps, dim=0)
        ahead = network.ahead.unroll(x[None], detach, detach)[0][0]
        behind = network.behind.unroll(x.flip(0)[None], detach, detach)[0][0].flip(0)
        z = torch.cat([ahead, behind], dim=1)
        w_out = torch.cat([network.ahead.w_out, network.behind.w_out], dim=1)
        drive = z @ w_out.T
        if feedback is not None:
            drive = z.detach() @ w_out.T + (z - z.detach()) @ feedback
        if c.readout_every == "frame":
            drive = drive.unflatten(0, (real, c.frame_steps)).mean(dim=1)
        y = filtered(drive, network.readout.kappa) + network.b_out
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
    module, rule = make(algorithm=algorithm, readout_every=readout_every, task_loss=task_loss)
    found, _ = gradients(module, rule, make_batch(padding=4))
    wanted = reference(module, make_batch(), detach=algorithm == "eprop")
    assert max(relative(found[name], wanted[name]) for name in WEIGHTS + READOUT) < EXACT
    other = reference(module, make_batch(), detach=algorithm != "eprop")  # control
    assert_gradients_differ(found, other, WRONG, WEIGHTS)


def test_random_feedback_reaches_each_direction_through_its_own_weights() -> None:
    module, rule = make(feedback="random")
    found, _ = gradients(module, rule, make_batch())
    drawn = module.get_buffer("feedback_weights")[0]
    assert drawn.shape == (30, 61)
    assert 0.9 < drawn.std() < 1.1  # variance 1, not 1/n
    wanted = reference(module, make_batch(), detach=True, feedback=drawn)
    assert max(relative(found[name], wanted[name]) for name in WEIGHTS) < EXACT
    swapped = reference(module, make_batch(), detach=True, feedback=drawn.roll(15, dims=0))  # control
    assert_gradients_differ(found, swapped, WRONG, WEIGHTS)


@pytest.mark.parametrize("algorithm", ["eprop", "bptt"])
def test_padding_changes_no_real_frame_and_no_gradient(algorithm: str) -> None:
    module, rule = make(algorithm=algorithm, rate_cost=0.5)
    few, heard = gradients(module, rule, make_batch())
    more, heard_padded = gradients(module, rule, make_batch(padding=30))
    for row, frames in enumerate(FRAMES):
        real = slice(frames * SMALL.frame_steps)
        torch.testing.assert_close(heard[row, real], heard_padded[row, real], rtol=0, atol=1e-12)
    assert max(relative(more[name], few[name]) for name in few) < EXACT


def test_control_padding_that_is_taken_for_speech() -> None:
    """Reversed with its padding, as a tensor is by torch.flip, the network behind hears the padding first."""
    module, rule = make(rate_cost=0.5)
    few, heard = gradients(module, rule, make_batch())
    padded = make_batch(padding=30)
    padded = padded._replace(lengths=torch.full((3,), padded.inputs.shape[1]))
    more, heard_padded = gradients(module, rule, padded)
    assert_gradients_differ(more, few, WRONG, WEIGHTS)
    assert relative(heard_padded[1, :25], heard[1, :25]) > WRONG


def test_the_rate_term_counts_real_steps_alone() -> None:
    module, rule = make(rate_cost=0.5)
    with_term, _ = gradients(module, rule, make_batch(padding=20))
    module.rate = rule.rate = dataclasses.replace(module.rate, cost=0.0)
    without, _ = gradients(module, rule, make_batch(padding=20))
    assert relative(with_term["behind.w_rec"], without["behind.w_rec"]) > WRONG


def test_an_untrained_network_keeps_its_weights_and_trains_its_readout() -> None:
    module, rule = make(algorithm="readout_only")
    module.zero_grad()
    rule.loss(module, make_batch(), 0).loss.backward()
    named = dict(module.network.named_parameters())
    assert all(named[name].grad is None for name in WEIGHTS)
    wanted = reference(module, make_batch(), detach=True)
    assert max(relative(named[name].grad, wanted[name]) for name in READOUT) < EXACT


def test_plain_bptt_on_the_tape_is_the_same_gradient() -> None:
    module, rule = make(algorithm="bptt")
    found, _ = gradients(module, rule, make_batch(padding=4))
    module.zero_grad()
    module._plain_bptt(make_batch(padding=4)).loss.backward()
    for name, parameter in module.network.named_parameters():
        assert relative(parameter.grad, found[name]) < EXACT, name


def test_accumulated_micro_batches_share_one_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two micro-batches of unequal length, the rate term alone: the mean rate spans both."""
    module, rule = make(rate_cost=0.5)
    batch = make_batch()
    whole, _ = gradients(module, rule, batch)
    monkeypatch.setattr(rule._trainer, "accumulate_grad_batches", 3)
    module.zero_grad()
    for i in range(3):
        rows = slice(i, i + 1)
        part = Batch(batch.inputs._replace(frames=batch.inputs.frames[rows]), batch.labels[rows], batch.lengths[rows])
        (rule.loss(module, part, i).loss / 3).backward()
    for name in WEIGHTS:
        assert relative(module.network.get_parameter(name).grad, whole[name]) < EXACT, name


def test_flip_is_its_own_inverse_and_differentiable() -> None:
    x = torch.randn(3, 7, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([7, 3, 5])
    turned = flip(x, lengths)
    torch.testing.assert_close(turned[1, :3], x[1, :3].flip(0))
    torch.testing.assert_close(turned[1, 3:], x[1, 3:])
    torch.testing.assert_close(flip(turned, lengths), x)
    assert torch.autograd.gradcheck(lambda series: flip(series, lengths), (x,))
