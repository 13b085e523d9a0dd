"""What computes gradients at once does so in torch's inference mode too, and training goes on after it."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.eprop import LSTM, EProp, EProp3, LSTMLayer, RateTerm, UsageError, online_eprop
from repro.eprop.kernels.cuda_graph import map_tensors
from repro.eprop.layers import algorithm_1
from repro.eprop.layers.algorithm_1 import Algorithm1Loss
from repro.eprop.layers.eligibility_vectors import EligibilityVectors
from tests.library.own import trainer_of
from tests.oracle.eprop.conftest import EXACT, make, relative
from tests.oracle.eprop.emulated import Emulated
from tests.oracle.eprop.lstm_tape import assert_equal
from tests.oracle.eprop.test_synthetic_layer import simulate
from tests.oracle.eprop.window_net import BATCH, START, Gradients, Net


def gradient(layer: LSTMLayer, x: Tensor, vectors: EligibilityVectors) -> Tensor:
    """Of two windows, by the vectors between them; each half of x is one."""
    first, second = x.chunk(2, dim=1)
    h, state = layer(first, eligibility_vectors=vectors, return_state=True)
    h.sin().sum().backward()
    loss = layer(second, state, eligibility_vectors=vectors).sin().sum()
    return torch.autograd.grad(loss, layer.w_rec)[0]


@pytest.mark.parametrize("steps", [4, 40], ids=["history", "vectors"])
def test_vectors_that_were_made_or_advanced_in_inference_mode_are_trained_with(steps: int) -> None:
    layer = LSTMLayer(LSTM(), 5, 6, rule=EProp3())
    x = torch.randn(3, 2 * steps, 5)
    wanted = gradient(layer, x, layer.eligibility_vectors(3))
    with torch.inference_mode():
        vectors = layer.eligibility_vectors(3)
        for window in x.chunk(2, dim=1):
            layer(window, eligibility_vectors=vectors)
    assert (vectors.windows is None) == (steps == 40)
    vectors.reset()
    assert torch.equal(gradient(layer, x, vectors), wanted)


class Product(Net):
    """Errors whose derivatives need the target: autograd saves it."""

    def errors(self, h: Tensor, target: Tensor) -> Tensor:
        return (self.readout(h) * target).sum()


def test_a_window_of_algorithm_1_has_its_errors_in_inference_mode() -> None:
    net = Product(EProp3())
    _, error = simulate(net, START, 0, net.layer.weights)
    usual = net.learn(net.window(0), net.window(1), START)
    with torch.inference_mode():
        windows = map_tensors((net.window(0), net.window(1)), torch.clone)
        assert windows[0].target.is_inference()
        result = net.learn(*windows, START)
    assert relative(result.error, error / BATCH) < EXACT
    assert relative(result.prediction_error, usual.prediction_error) < EXACT
    assert not result.loss.requires_grad
    assert usual.loss.requires_grad  # control


def test_a_parameter_that_is_missing_is_seen_in_inference_mode() -> None:
    net = Net(EProp3())
    forgets = Algorithm1Loss(net.layer, net.errors, [net.readout.bias], net.predictor)
    with torch.inference_mode(), pytest.raises(UsageError, match="not in readout"):
        forgets(net.window(0), None)


@pytest.fixture(params=[False, True], ids=["computed", "replayed"])
def replayed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    if request.param:
        monkeypatch.setattr(algorithm_1, "Replayed", Emulated)
        monkeypatch.setattr(algorithm_1, "GRAPH_DEVICES", ("cpu",))
    yield request.param


def trained(net: Net) -> Gradients:
    net.gain.requires_grad_(False)  # one recording is that of both modes
    net.learn(net.window(0), net.window(1), START).loss.backward()
    return net.gradients()


def test_training_goes_on_after_inference_mode(replayed: bool) -> None:
    net, wanted = Net(EProp3()), trained(Net(EProp3()))
    before = Emulated.replays
    with torch.inference_mode():
        for _ in range(3):
            net.learn(net.window(0), net.window(1), START)
    assert_equal(trained(net), wanted)
    assert Emulated.replays - before == 3 * replayed


def test_online_e_prop_has_its_loss_in_inference_mode() -> None:
    case, rate = make("lif", EProp(), x_learns=False), RateTerm("sum_hz", 1e-3)
    y, z = case.forward("pair")
    with torch.inference_mode():
        result = online_eprop(
            case.layer,
            case.readout,
            case.x,
            lambda y, first: 0.5 * (y - case.target[:, first : first + y.shape[1]]).square().sum(),
            rate,
        )
    assert relative(result.loss, 0.5 * (y - case.target).square().sum() + rate(z)) < EXACT
    assert relative(result.y, y) < EXACT


class Lit(pl.LightningModule):
    """Windows that carry vectors, made when they are first needed."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net(EProp3())
        self.vectors: EligibilityVectors | None = None

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.vectors = self.vectors or self.net.layer.eligibility_vectors(BATCH)
        self.vectors.reset()
        return self.net.learn(self.net.window(0), self.net.window(1), START, self.vectors).loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader() -> Any:
    return torch.utils.data.DataLoader(torch.arange(2), batch_size=None)


@pytest.mark.filterwarnings("ignore")
def test_lightning_validates_before_it_trains() -> None:
    lit, batches = Lit(), loader()
    _, error = simulate(lit.net, START, 0, lit.net.layer.weights)
    usual = lit.net.learn(lit.net.window(0), lit.net.window(1), START)
    trainer = trainer_of()
    (found,) = trainer.validate(lit, batches, verbose=False)
    assert found["loss"] == pytest.approx(float(error / BATCH + usual.prediction_error))
    before = lit.net.layer.w_rec.detach().clone()
    trainer.fit(lit, batches, batches)
    assert not torch.equal(lit.net.layer.w_rec, before)
