"""A LightningModule as a user writes it, its trials, and training by hand, which Lightning must equal."""

from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from repro.eprop import ALIF, EProp, RateTerm, Readout, RecurrentLayer
from repro.eprop.lightning import EPropCallback

LEARNING_RATE = 0.03
Batch = tuple[Tensor, Tensor]


class Own(pl.LightningModule):
    """Six LIF and six ALIF neurons; plain gradient descent, which shows a gradient that is off by a factor."""

    def __init__(self, rate_cost: float = 100.0) -> None:
        super().__init__()
        self.save_hyperparameters()
        random = torch.Generator().manual_seed(5)
        neuron = ALIF(tau_m_ms=15.0, v_th=0.4, refractory_ms=3, beta=0.07, tau_a_ms=150.0, n_adaptive=6)
        self.hidden = RecurrentLayer(neuron, n_in=8, n=12, generator=random)
        self.readout = Readout(12, 3, tau_out_ms=25.0, generator=random)
        self.rate = RateTerm("sum_khz", rate_cost)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, label = batch
        z = self.hidden(x)
        loss = cross_entropy(self.readout(z).mean(dim=1), label) + self.rate(z)
        self.log("loss", loss, on_epoch=True, on_step=False, batch_size=len(label))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        x, label = batch
        self.log("validation_loss", cross_entropy(self.readout(self.hidden(x)).mean(dim=1), label))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)


def module(rate_cost: float = 100.0) -> Own:
    """The module that every test begins with, in float64."""
    return Own(rate_cost).double()


def trial(index: int) -> Batch:
    """Trial number `index`: input spikes [1, time, input], more of them in later trials, and a label."""
    random = torch.Generator().manual_seed(1000 + index)
    x = torch.rand(1, 60, 8, generator=random) < 0.1 + 0.01 * index
    return x.double(), torch.randint(3, (1,), generator=random)


def together(indices: Sequence[int]) -> Batch:
    """One batch of several trials."""
    x, label = zip(*(trial(index) for index in indices), strict=True)
    return torch.cat(x), torch.cat(label)


def loader(batches: Sequence[Batch]) -> Any:
    """The batches, one after the other."""
    return DataLoader(batches, batch_size=None)


def trainer_of(*callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    """A silent Trainer on the CPU."""
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    }
    return pl.Trainer(callbacks=list(callbacks), **(defaults | options))


def e_prop() -> EPropCallback:
    """e-prop 1 with one feedback matrix for all tests."""
    return EPropCallback(feedback="random", seed=11)


def fit(batches: Sequence[Batch], rate_cost: float = 100.0, **options: Any) -> dict[str, Tensor]:
    """The weights after training by Lightning."""
    trained = module(rate_cost)
    trainer_of(e_prop(), **options).fit(trained, loader(batches))
    return weights(trained)


def by_hand(
    updates: Sequence[Sequence[Batch]], change: Callable[[Own], None] = lambda module: None
) -> dict[str, Tensor]:
    """The weights after training in a loop: an update is the mean gradient of its batches, after `change`."""
    trained = module()
    trained.hidden.rule, trained.readout.feedback = EProp(), "random"
    trained.readout.seed_feedback(11)
    for batches in updates:
        trained.zero_grad()
        for x, label in batches:
            z = trained.hidden(x)
            loss = cross_entropy(trained.readout(z).mean(dim=1), label) + trained.rate(z)
            (loss / len(batches)).backward()
        change(trained)
        with torch.no_grad():
            for parameter in trained.parameters():
                assert parameter.grad is not None
                parameter.sub_(LEARNING_RATE * parameter.grad)
    return weights(trained)


def weights(trained: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters, by name."""
    return {name: parameter.detach().clone() for name, parameter in trained.named_parameters()}


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Of all weights."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)
