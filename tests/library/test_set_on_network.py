"""A network sets rule and feedback on its parts, and the callback counts the parts alone."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop import (
    BPTT,
    LIF,
    Bidirectional,
    EProp,
    Feedback,
    Readout,
    RecurrentLayer,
    SpikingNetwork,
    UsageError,
)
from repro.eprop.lightning import LearnsByRule, SendsFeedback
from tests.library.own import Batch, Own, e_prop, loader, together, trainer_of


def pair() -> tuple[RecurrentLayer, Readout]:
    return RecurrentLayer(LIF(), 8, 6), Readout(6, 3)


def both() -> SpikingNetwork:
    return SpikingNetwork(Bidirectional(RecurrentLayer(LIF(), 8, 6), RecurrentLayer(LIF(), 8, 6)), Readout(12, 3))


def test_rule_and_feedback_reach_the_parts() -> None:
    network = SpikingNetwork(*pair())
    assert (network.rule, network.feedback) == (BPTT(), Feedback("symmetric"))
    network.rule, network.feedback = EProp(), "random"
    assert (network.layer.rule, network.readout.feedback) == (EProp(), Feedback("random"))
    assert (network.rule, network.feedback) == (EProp(), Feedback("random"))
    with pytest.raises(UsageError, match="a rule is an object"):
        setattr(network, "rule", "eprop")  # noqa: B010
    with pytest.raises(UsageError, match="one of symmetric"):
        network.feedback = "randm"


def test_both_directions() -> None:
    network = both()
    network.rule = EProp()
    assert [layer.rule for layer in network.directions] == [EProp(), EProp()]
    assert network.rule == network.layer.rule == EProp()
    network.directions[1].rule = BPTT()
    for module in (network, network.layer):
        with pytest.raises(UsageError, match=r"rules EProp\(.*\) and BPTT\(\): read them of each layer"):
            module.rule  # noqa: B018


class Both(Own):
    """Two directions, with different rules at first."""

    def __init__(self) -> None:
        super().__init__()
        del self.hidden, self.readout
        self.network = both()
        self.network.directions[0].rule = EProp("truncated")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        y, _ = self.network(batch[0])
        return nn.functional.cross_entropy(y.mean(dim=1), batch[1])


def test_the_callback_counts_the_parts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, given = Both().double(), list[Any]()
    with monkeypatch.context() as patch:
        patch.setattr(RecurrentLayer, "check_rule", lambda self, rule: given.append(self))
        patch.setattr(Readout, "seed_feedback", lambda self, seed: given.append(self))
        callback = e_prop()
        callback.setup(trainer_of(), trained, "fit")
    assert len(given) == 3
    trainer_of(callback).fit(trained, loader([together(range(4))]))
    assert (trained.network.rule, trained.network.feedback) == (EProp(), Feedback("random"))
    assert not isinstance(trained.network, LearnsByRule)
    assert not isinstance(trained.network, SendsFeedback)


def test_parts_of_other_kinds_are_refused() -> None:
    layer, readout = pair()
    for wrong in ((readout, layer), (layer, nn.Linear(6, 3)), ([layer], readout)):
        with pytest.raises(UsageError, match="a SpikingNetwork has a RecurrentLayer or a Bidirectional, and a Readout"):
            SpikingNetwork(*wrong)
    with pytest.raises(UsageError, match="a Bidirectional has two RecurrentLayers, not Linear"):
        Bidirectional(layer, nn.Linear(8, 6))
    assert isinstance(torch.nn.Sequential(layer, readout)(torch.ones(1, 5, 8)), Tensor)
