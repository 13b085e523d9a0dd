"""Two layers on one trial, composed and as one operation, against autograd through each trial alone."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from repro.eprop import (
    BPTT,
    Bidirectional,
    EProp,
    Feedback,
    Held,
    RateTerm,
    Readout,
    RecurrentLayer,
    Rule,
    SpikingNetwork,
    UsageError,
    spike_trains,
)
from repro.eprop.kernels import dispatch
from tests.oracle.eprop.conftest import EXACT, KAPPA, N_IN, NEURONS, WRONG, N, assert_differ, assert_equal, relative

STEPS = 40
LENGTHS = torch.tensor([STEPS, 0, 25])
RAGGED = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
RULES = pytest.mark.parametrize("rule", [BPTT(), EProp()])


@pytest.fixture(autouse=True)
def no_number_is_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """BPTT of these networks too is that of the fused kernels, as in speech."""
    monkeypatch.setattr(dispatch, "FEW_NEURONS", 0)


class Both(NamedTuple):
    network: SpikingNetwork
    x: Tensor
    weight: Tensor  # of the readout's values in the loss

    def run(self, way: str, lengths: Tensor | None, x: Any = None) -> tuple[Tensor, Tensor]:
        """y, and z in the trial's order of time."""
        layer, readout = self.network.layer, self.network.readout
        if way == "two":
            z = layer(self.x if x is None else x, lengths=lengths)
            return readout(z, lengths=lengths), z
        y, (z_forward, z_backward) = self.network(self.x if x is None else x, lengths=lengths)
        ends = [STEPS] * 3 if lengths is None else lengths.tolist()
        rows = [torch.cat([trial[:end].flip(0), trial[end:]]) for trial, end in zip(z_backward, ends, strict=True)]
        return y, torch.cat([z_forward, torch.stack(rows)], dim=2)

    def alone(self, detach: bool, lengths: Tensor | None, feedback: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Each trial by itself, without padding, on the tape; zeros behind its end."""
        readout, ys, zs = self.network.readout, [], []
        ahead, behind = self.network.directions
        for trial, end in zip(self.x, [STEPS] * 3 if lengths is None else lengths.tolist(), strict=True):
            frames, width = end // readout.frame_steps, readout.frame_steps
            if not end:
                zs.append(torch.zeros(STEPS, 2 * N).double())
                ys.append(torch.zeros(STEPS // width, 2).double())
                continue
            x = trial[None, :end]
            forward = ahead.unroll(x, detach, detach)[0][0]
            backward = behind.unroll(x.flip(1), detach, detach)[0][0].flip(0)
            z = torch.cat([forward, backward], dim=1)
            drive = z @ readout.w_out.T
            if feedback is not None:
                drive = z.detach() @ readout.w_out.T + (z - z.detach()) @ feedback
            y, rows = torch.zeros(2).double(), []
            for step in drive.unflatten(0, (frames, width)).mean(dim=1):
                y = KAPPA * y + step
                rows.append(y + readout.b_out)
            zs.append(nn.functional.pad(z, (0, 0, 0, STEPS - end)))
            ys.append(nn.functional.pad(torch.stack(rows), (0, 0, 0, STEPS // width - frames)))
        return torch.stack(ys), torch.stack(zs)

    def gradients(self, y: Tensor, z: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
        loss = (y * self.weight).sum() + RateTerm("sum_hz", 1e-4)(z, lengths)
        names = {name: p for name, p in self.network.named_parameters() if p.requires_grad} | {"x": self.x}
        return dict(zip(names, torch.autograd.grad(loss, [*names.values()]), strict=True))


def make_both(rule: Rule, feedback: Feedback | str = "symmetric", frame_steps: int = 1, neuron: str = "alif") -> Both:
    random = torch.Generator().manual_seed(21)
    layers = [RecurrentLayer(NEURONS[neuron], N_IN, N, rule=rule, generator=random) for _ in range(2)]
    options: dict[str, Any] = {"bias": True, "feedback": feedback, "frame_steps": frame_steps, "generator": random}
    network = SpikingNetwork(Bidirectional(*layers), Readout(2 * N, 2, 40.0, **options)).double()
    network.readout.b_out.data += 0.3
    x = (torch.rand(3, STEPS, N_IN, generator=random) < 0.15).double().requires_grad_()
    return Both(network, x, torch.randn(3, STEPS // frame_steps, 2, generator=random).double())


@RAGGED
@RULES
@pytest.mark.parametrize(("neuron", "frame_steps"), [("alif", 1), ("alif", 5), ("rate", 1), ("own", 5)])
def test_a_batch_is_its_trials_alone(
    way: str, rule: Rule, lengths: Tensor | None, frame_steps: int, neuron: str
) -> None:
    both = make_both(rule, "symmetric", frame_steps, neuron)
    y, z = both.run(way, lengths)
    y_wanted, z_wanted = both.alone(isinstance(rule, EProp), lengths)
    assert relative(z, z_wanted) < EXACT
    assert relative(y, y_wanted) < EXACT
    found = both.gradients(y, z, lengths)
    assert_equal(found, both.gradients(y_wanted, z_wanted, lengths))
    wrong = both.gradients(*both.alone(isinstance(rule, BPTT), lengths), lengths)
    names = [f"layer.{d}_layer.{w}" for d in ("forward", "backward") for w in ("w_in", "w_rec")]
    assert_differ(found, wrong, *names, "x")


@RAGGED
@RULES
def test_random_feedback_has_rows_of_both(way: str, rule: Rule, lengths: Tensor | None) -> None:
    both = make_both(rule, Feedback("random", variance="one"))
    b = both.network.readout.feedback_weights(STEPS)[0]
    assert b.shape == (2 * N, 2)
    found = both.gradients(*both.run(way, lengths), lengths)
    wanted = both.gradients(*both.alone(isinstance(rule, EProp), lengths, b), lengths)
    assert_equal(found, wanted)
    swapped = both.gradients(*both.alone(isinstance(rule, EProp), lengths, b.roll(N, dims=0)), lengths)
    assert_differ(found, swapped, "layer.forward_layer.w_in", "layer.backward_layer.w_rec", "x")


@RAGGED
@RULES
@pytest.mark.parametrize("time", ["error", "slice"])
def test_windows_of_feedback_count_from_the_trials_beginning(
    way: str, rule: Rule, lengths: Tensor | None, time: str
) -> None:
    """L_j^t = sum over t' >= t of kappa^(t' - t) B^(t' or t) dE/dy^t', in the trial's order for both directions."""
    both = make_both(rule, Feedback("random", window_ms=7, time=time))
    b = both.network.readout.feedback_weights(STEPS)
    ends = [STEPS] * 3 if lengths is None else lengths.tolist()
    signal = torch.zeros(3, STEPS, 2 * N).double()
    for trial, end in enumerate(ends):
        for t in range(end):
            for later in range(t, end):
                at = b[(later if time == "error" else t) // 7]
                signal[trial, t] += KAPPA ** (later - t) * at @ both.weight[trial, later]

    def by_layer(y: Tensor, z: Tensor) -> dict[str, Tensor]:
        found = both.gradients(y, z, lengths)
        return {name: g for name, g in found.items() if "readout" not in name}

    found = by_layer(*both.run(way, lengths))
    _, z = both.alone(isinstance(rule, EProp), lengths)
    names = list(found)
    tensors = [both.x if name == "x" else both.network.get_parameter(name) for name in names]

    def wanted(signal: Tensor) -> dict[str, Tensor]:
        loss = (z * signal).sum() + RateTerm("sum_hz", 1e-4)(z, lengths)
        return dict(zip(names, torch.autograd.grad(loss, tensors, retain_graph=True), strict=True))

    assert_equal(found, wanted(signal))
    assert_differ(found, wanted(signal.roll(7, dims=1)), *names)


@RAGGED
@RULES
def test_events_and_held_frames_are_their_arrays(way: str, rule: Rule, lengths: Tensor | None) -> None:
    both = make_both(rule)
    names, weights = zip(*both.network.named_parameters(), strict=True)

    def run(x: Any, *more: Tensor) -> tuple[Tensor, ...]:
        y, z = both.run(way, lengths, x)
        return torch.autograd.grad((y * both.weight).sum() + z.mean(), [*weights, *more])

    x = both.x.detach()
    for found, wanted in zip(run(spike_trains(x)), run(x), strict=True):
        assert relative(found, wanted) < EXACT
    frames = torch.randn(3, 8, N_IN).double().requires_grad_()
    by_frames, by_steps = run(Held(frames, 5), frames), run(frames.repeat_interleave(5, dim=1), frames)
    for found, wanted in zip(by_frames, by_steps, strict=True):
        assert relative(found, wanted) < EXACT
    assert by_frames[-1].shape == frames.shape
    assert relative(by_frames[1], run(x)[1]) > WRONG  # control
    assert len(names) == 6


@RULES
def test_a_trial_may_end_within_a_frame(way: str, rule: Rule) -> None:
    lengths, frames = torch.tensor([STEPS, 7, 22]), torch.randn(3, 8, N_IN).double().requires_grad_()
    held = make_both(rule)._replace(x=frames)
    y, z = held.run(way, lengths, Held(frames, 5))
    dense = held._replace(x=frames.repeat_interleave(5, dim=1))
    y_wanted, z_wanted = dense.alone(isinstance(rule, EProp), lengths)
    assert relative(z, z_wanted) < EXACT
    assert relative(y, y_wanted) < EXACT
    wanted = held.gradients(y_wanted, z_wanted, lengths)
    assert_equal(held.gradients(y, z, lengths), wanted)


@RULES
def test_layers_may_have_rules_of_their_own(way: str, rule: Rule) -> None:
    both = make_both(rule)
    other = EProp() if isinstance(rule, BPTT) else BPTT()
    both.network.layer.backward_layer.rule = other
    found = both.gradients(*both.run(way, LENGTHS), LENGTHS)
    for layer, own in (("forward", rule), ("backward", other)):
        wanted = both.gradients(*both.alone(isinstance(own, EProp), LENGTHS), LENGTHS)
        wrong = both.gradients(*both.alone(isinstance(own, BPTT), LENGTHS), LENGTHS)
        for name in (f"layer.{layer}_layer.w_in", f"layer.{layer}_layer.w_rec"):
            assert relative(found[name], wanted[name]) < EXACT
            assert relative(found[name], wrong[name]) > WRONG


def test_padding_that_is_taken_for_the_trial_differs() -> None:
    """Turned round with its padding, the second layer would read the padding first."""
    both = make_both(EProp())
    y, _ = both.run("pair", LENGTHS)
    whole, _ = both.run("pair", None)
    assert relative(whole[2, :20], y[2, :20]) > WRONG


def test_a_trial_is_read_from_both_ends_without_a_state() -> None:
    both = make_both(EProp())
    with pytest.raises(UsageError, match="begins and ends each trial at rest"):
        both.network(both.x, return_state=True)
