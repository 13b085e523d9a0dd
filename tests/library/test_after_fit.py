"""What is left of a fit: the layers keep rule and feedback, and all that is saved agrees; what a module makes late."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop import BPTT, EProp, Feedback, Frozen, UsageError
from repro.eprop.lightning import EPropCallback
from tests.library.own import Batch, Own, by_hand, e_prop, largest_difference, loader, module, together, trainer_of
from tests.library.own import weights as weights_of

EQUAL, DIFFERENT = 1e-12, 1e-5
BATCHES = [together(range(4 * k, 4 * k + 4)) for k in range(2)]
E_PROP_1 = EProp(), Feedback("random")


def given(module: Any) -> tuple[Any, Any]:
    return module.hidden.rule, module.readout.feedback


def test_the_layers_keep_rule_and_feedback() -> None:
    trained = module()
    assert given(trained) == (BPTT(), Feedback("symmetric"))  # control
    trainer_of(e_prop()).fit(trained, loader(BATCHES))
    assert given(trained) == E_PROP_1
    trainer_of().fit(trained, loader(BATCHES))  # goes on by the same rule, without a callback
    assert largest_difference(weights_of(trained), by_hand([[batch] for batch in (*BATCHES, *BATCHES)])) < EQUAL


def test_a_checkpoint_saved_after_the_fit_can_be_resumed(tmp_path: Path) -> None:
    trained, trainer = module(), trainer_of(e_prop())
    trainer.fit(trained, loader(BATCHES))
    trainer.save_checkpoint(tmp_path / "after.ckpt")
    torch.save(trained, tmp_path / "whole.pt")
    assert given(Own.load_from_checkpoint(tmp_path / "after.ckpt")) == E_PROP_1
    assert given(torch.load(tmp_path / "whole.pt", weights_only=False)) == E_PROP_1
    resumed = module()
    trainer_of(e_prop(), max_epochs=2).fit(
        resumed, loader(BATCHES), ckpt_path=tmp_path / "after.ckpt", weights_only=True
    )
    assert largest_difference(weights_of(resumed), by_hand([[batch] for batch in (*BATCHES, *BATCHES)])) < EQUAL


class Interrupted(Own):
    """Ends with an error in its second step."""

    error: type[BaseException] = RuntimeError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if batch_idx == 1:
            raise self.error
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_fit(error: type[BaseException]) -> None:
    for callback, wanted in ((e_prop(), E_PROP_1), (EPropCallback(Frozen()), (Frozen(), Feedback("random")))):
        trained = Interrupted().double()
        trained.error = error
        trained.hidden.w_rec.requires_grad_(False)
        with pytest.raises((error, SystemExit)):  # Lightning exits where a user interrupts it
            trainer_of(callback).fit(trained, loader(BATCHES))
        assert given(trained) == wanted
        assert [p.requires_grad for p in trained.hidden.parameters()] == [True, False]


class Late(Own):
    """Makes its layers in configure_model."""

    def __init__(self) -> None:
        super().__init__()
        del self.hidden, self.readout

    def configure_model(self) -> None:
        if not hasattr(self, "hidden"):
            made = module()
            self.hidden, self.readout = made.hidden, made.readout


class Replaced(Own):
    """Makes other layers in configure_model than it had."""

    def configure_model(self) -> None:
        made = module()
        self.hidden, self.readout = made.hidden, made.readout


class Never(Late):
    """Makes none."""

    def configure_model(self) -> None:
        self.linear = torch.nn.Linear(8, 3)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.linear.parameters(), lr=0.1)


@pytest.mark.parametrize("kind", [Late, Replaced])
def test_layers_of_configure_model_get_the_rule(kind: type[Own], tmp_path: Path) -> None:
    trained, trainer = kind().double(), trainer_of(e_prop())
    trainer.fit(trained, loader(BATCHES))
    assert given(trained) == E_PROP_1
    assert largest_difference(weights_of(trained), by_hand([[batch] for batch in BATCHES])) < EQUAL
    trainer.save_checkpoint(tmp_path / "late.ckpt")
    for callback, sentence in ((EPropCallback(BPTT()), "rule"), (EPropCallback(feedback="global"), "feedback")):
        with pytest.raises(UsageError, match=f"trained with the {sentence}"):
            trainer_of(callback, max_epochs=2).fit(
                kind().double(), loader(BATCHES), ckpt_path=tmp_path / "late.ckpt", weights_only=True
            )


def test_a_module_that_makes_no_layer_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="Never has no layer that learns by a rule"):
        trainer_of(e_prop()).fit(Never().double(), loader(BATCHES))


def test_the_callback_gives_its_rule_to_all_layers() -> None:
    trained = module()
    trained.hidden.rule = Frozen()
    trainer_of(e_prop()).fit(trained, loader(BATCHES))
    assert largest_difference(weights_of(trained), by_hand([[batch] for batch in BATCHES])) < EQUAL
    still = module()
    still.hidden.requires_grad_(False)
    trainer_of(e_prop()).fit(still, loader(BATCHES))
    assert largest_difference(weights_of(still.hidden), weights_of(module().hidden)) == 0
    assert not any(p.requires_grad for p in still.hidden.parameters())
