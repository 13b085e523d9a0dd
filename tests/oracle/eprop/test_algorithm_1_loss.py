"""Algorithm 1's loss in a user's hands: scaled, accumulated, copied, replayed as a graph, trained by Lightning."""

import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from repro.eprop.errors import UsageError
from repro.eprop.kernels.cuda_graph import map_tensors
from repro.eprop.layers import algorithm_1
from repro.eprop.layers.algorithm_1 import Algorithm1Loss
from repro.eprop.lightning import EPropCallback
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Frozen, Rule
from repro.eprop.rules.synthetic import Algorithm1, Window, window_gradients
from tests.library.own import trainer_of
from tests.oracle.eprop import window_net
from tests.oracle.eprop.emulated import Emulated
from tests.oracle.eprop.lstm_tape import assert_differ, assert_equal, relative
from tests.oracle.eprop.window_net import BATCH, START, Gradients, Net, X

WRONG = 1e-4


def test_the_loss_is_scaled_and_added_up_as_any_loss() -> None:
    net = Net(EProp3())
    totals = []
    for factor, together in ((1.0, False), (0.25, False), (1.0, True)):
        vectors, state, losses = net.layer.eligibility_vectors(BATCH), START, []
        for number in (0, 1):
            loss, state, *_ = net.learn(net.window(number), net.window(number + 1, number == 1), state, vectors)
            losses.append(factor * loss)
            if not together:
                losses.pop().backward()
        if together:
            sum(losses).backward()
        totals.append(net.gradients(1 / factor))
    assert_equal(totals[1], totals[0])
    assert_equal(totals[2], totals[0])
    net.learn(net.window(0), net.window(1), START, net.layer.eligibility_vectors(BATCH)).loss.backward()
    assert_differ(net.gradients(), totals[0])  # control: two windows are more than one


def test_frozen_weights_and_fixed_inputs() -> None:
    net = Net(Frozen())
    net.gain.requires_grad_(False)
    net.readout.bias.requires_grad_(False)
    net.learn(net.window(0), net.window(1), START).loss.backward()
    assert {name for name in net.gradients() if not name.startswith("predictor")} == {"readout.weight"}


def test_a_frozen_predictor_still_predicts() -> None:
    free, frozen, without = Net(EProp3()), Net(EProp3()), Net(EProp3())
    for net in (free, frozen):
        net.predictor.out.data += 0.3
    frozen.predictor.requires_grad_(False)
    for net in (free, frozen, without):
        net.learn(net.window(0), net.window(1), START, net.layer.eligibility_vectors(BATCH)).loss.backward()
    found, wanted = frozen.gradients(), free.gradients()
    assert found and all(torch.equal(found[name], wanted[name]) for name in found)
    assert {name for name in wanted if name not in found} == {n for n in wanted if n.startswith("predictor")} != set()
    assert relative(wanted["layer.w_rec"], without.gradients()["layer.w_rec"]) > WRONG  # control: the prediction counts


def test_a_readout_that_errors_does_not_use_has_a_gradient_of_zero() -> None:
    net, unused = Net(EProp3()), torch.nn.Parameter(torch.ones(3))
    learn = Algorithm1Loss(net.layer, net.learn.errors, [*net.learn.readout, unused])
    learn(net.window(0), None, START).loss.backward()
    assert unused.grad is not None and not unused.grad.any() and net.gradients()


def test_where_nothing_learns_the_loss_is_a_number() -> None:
    net = Net(Frozen()).requires_grad_(False)
    loss = net.learn(net.window(0), None, START).loss
    assert torch.isfinite(loss) and not loss.requires_grad


def test_autocast_changes_nothing() -> None:
    net = Net(EProp3()).float()
    data = [_single(net.window(number)) for number in (0, 1)]
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            net.learn(*data).loss.backward()
        gradients.append(net.gradients())
    assert all(torch.equal(gradients[1][name], gradients[0][name]) for name in gradients[0])


def _single(window: Window) -> Window:
    return map_tensors(window, lambda x: x.float().detach())


def test_wrong_use_is_a_sentence() -> None:
    net = Net(EProp3())
    forgets = Algorithm1Loss(net.layer, net.errors, [net.readout.bias], net.predictor)
    with pytest.raises(UsageError, match=r"a parameter of shape \[2, 6\] that is not in readout"):
        forgets(net.window(0), None)
    with pytest.raises(UsageError, match="does not look ahead"):
        Net(EProp()).learn(net.window(0), None)
    with pytest.raises(UsageError, match="wait for the backward pass"):
        vectors = net.layer.eligibility_vectors(BATCH)
        net.layer(X, START, eligibility_vectors=vectors)
        net.learn(net.window(0), None, START, vectors)
    with pytest.raises(UsageError, match="w_in is bfloat16"):
        net.bfloat16().learn(net.window(0), None)


def test_a_copy_learns_by_itself() -> None:
    net = Net(EProp3())
    other = copy.deepcopy(net)
    assert other.learn.layer is other.layer
    other.learn(other.window(0), other.window(1), START).loss.backward()
    assert not net.gradients()
    assert_equal(other.gradients(), _once(net))


def _once(net: Net) -> Gradients:
    net.learn(net.window(0), net.window(1), START).loss.backward()
    return net.gradients()


class Lit(pl.LightningModule):
    """An ordinary LightningModule that learns in windows; a batch is the number of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()
        self.vectors = self.net.layer.eligibility_vectors(BATCH)
        self.state: Any = None

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        number = int(batch)
        if number == 0:
            self.state = None
            self.vectors.reset()
        following = self.net.window(number + 1, number == 1) if number < 2 else None
        loss, self.state, *_ = self.net.learn(self.net.window(number, number == 2), following, self.state, self.vectors)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by_callback", [False, True])
def test_lightning_clips_accumulates_and_restores(by_callback: bool, tmp_path: Path) -> None:
    """Two updates, each with the mean gradient of three windows, clipped; the rule set by hand or by the callback."""
    lit, by_hand = Lit(), Lit()
    by_hand.net.layer.rule = EProp3()
    if not by_callback:
        lit.net.layer.rule = EProp3()
    callbacks = [EPropCallback(EProp3(), feedback=None)] if by_callback else []
    trainer = trainer_of(*callbacks, gradient_clip_val=0.5, accumulate_grad_batches=3)
    numbers = torch.arange(6) % 3
    trainer.fit(lit, torch.utils.data.DataLoader(numbers, batch_size=None))
    assert trainer.global_step == 2
    optimizer = by_hand.configure_optimizers()
    for k, number in enumerate(numbers):
        (by_hand.training_step(number, k) / 3).backward()
        if number == 2:
            assert nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5) > 0.5
            optimizer.step()
            optimizer.zero_grad()
    trained, wanted = dict(lit.named_parameters()), dict(by_hand.named_parameters())
    assert_equal(trained, wanted)
    start = Lit()
    assert relative(start.net.layer.w_rec, wanted["net.layer.w_rec"]) > WRONG  # control: they moved
    trainer.save_checkpoint(tmp_path / "lit.ckpt")
    loaded = Lit.load_from_checkpoint(tmp_path / "lit.ckpt", weights_only=True)
    assert start.net.layer.rule == BPTT()
    assert loaded.net.layer.rule == EProp3()
    assert lit.net.layer.backward_passes == 6
    assert torch.equal(loaded.net.layer.w_rec, lit.net.layer.w_rec)


class NothingLeavesTheDevice(TorchDispatchMode):
    """Raises where a graph could not be captured: a number read by Python, a shape that depends on the data."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in ("_local_scalar_dense", "nonzero", "masked_select", "unique"))
        return func(*args, **(kwargs or {}))


def test_a_window_can_be_captured() -> None:
    net = Net(EProp3())
    algorithm = Algorithm1(
        net.layer.neuron,
        net.layer.weights,
        EProp3().window_rule(),
        net.errors,
        tuple(net.readout.parameters()),
        net.predictor,
    )
    tensor = net.layer.eligibility_vectors(BATCH).tensor
    with NothingLeavesTheDevice():
        window_gradients(algorithm, net.window(0), net.window(1), START, tensor)
        with pytest.raises(AssertionError):  # control
            float(X.sum())


def three_updates(net: Net) -> Gradients:
    """The gradients of four windows together, delivered after the last; three times, with an update after each."""
    vectors, totals = net.layer.eligibility_vectors(BATCH), Gradients()
    for update in range(3):
        state, losses = net.start(), []
        vectors.reset()
        for number in range(4):
            following = None if number == 3 else net.window(number + 1, number == 2)
            loss, state, *_ = net.learn(net.window(number, number == 3), following, state, vectors)
            losses.append(loss)
        torch.stack(losses).sum().backward()
        gradients = net.gradients()
        totals |= {f"{name} {update}": gradient for name, gradient in gradients.items()}
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.sub_(0.05 * gradients[name])
    return totals


def test_replayed_windows_are_those_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = three_updates(Net(EProp3()))
    monkeypatch.setattr(algorithm_1, "Replayed", Emulated)
    monkeypatch.setattr(algorithm_1, "GRAPH_DEVICES", ("cpu",))
    before = Emulated.replays
    assert_equal(three_updates(Net(EProp3())), wanted)
    assert Emulated.replays - before == 8, (
        "of twelve windows four were the first with their shape and so many past steps"
    )
    differ = relative(wanted["layer.w_rec 2"], wanted["layer.w_rec 1"])
    assert differ > WRONG  # control: a stale result would show


@pytest.mark.parametrize("first", [True, False], ids=["frozen first", "frozen later"])
def test_a_recorded_window_is_not_replayed_for_other_work(monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    def updates(net: Net) -> Gradients:
        totals = Gradients()
        for number in range(4):
            net.predictor.requires_grad_((number < 2) != first)
            net.learn(net.window(0), net.window(1), START).loss.backward()
            totals |= {f"{name} {number}": gradient for name, gradient in net.gradients().items()}
        return totals

    wanted = updates(Net(EProp3()))
    monkeypatch.setattr(algorithm_1, "Replayed", Emulated)
    monkeypatch.setattr(algorithm_1, "GRAPH_DEVICES", ("cpu",))
    found = updates(Net(EProp3()))
    assert set(found) == set(wanted) and any(name.startswith("predictor") for name in wanted)
    assert_equal(found, wanted)


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="wants CUDA")


@cuda
@pytest.mark.parametrize("rule", [BPTT(), EProp3(), EProp3(trace="truncated")], ids=str)
def test_windows_on_cuda_are_those_of_the_cpu(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = three_updates(Net(rule))
    for name in ("X", "TARGET"):
        monkeypatch.setattr(window_net, name, getattr(window_net, name).cuda())
    gradients = three_updates(Net(rule).cuda())
    assert_equal({name: gradient.cpu() for name, gradient in gradients.items()}, wanted, 1e-9)
