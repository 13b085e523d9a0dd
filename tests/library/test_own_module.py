"""A user's own LightningModule trained by e-prop: the same as a loop by hand, whatever Lightning does around it."""

from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from repro.eprop import BPTT, EProp, EProp3, Feedback, Frozen, RateTerm, Readout, RecurrentLayer, UsageError
from repro.eprop.lightning import EPropCallback
from tests.library.own import (
    Batch,
    Own,
    by_hand,
    e_prop,
    fit,
    largest_difference,
    loader,
    module,
    together,
    trainer_of,
    trial,
    weights,
)
from tests.library.pair import UPDATES, shard, share, whole
from tests.runs.pair import train_together

EQUAL, DIFFERENT = 1e-12, 1e-5
Shares = list[dict[str, dict[str, Tensor]]]  # of each process: way of training -> weights
BATCHES = [together(range(4 * k, 4 * k + 4)) for k in range(4)]


def test_lightning_gives_the_gradients_of_a_plain_loop() -> None:
    trained = fit(BATCHES)
    assert largest_difference(trained, by_hand([[batch] for batch in BATCHES])) < EQUAL
    assert all(float((trained[name] - start).abs().max()) > DIFFERENT for name, start in weights(module()).items())
    plain = module()
    trainer_of().fit(plain, loader(BATCHES))
    assert largest_difference(trained, weights(plain)) > DIFFERENT  # control: BPTT


def test_clipping() -> None:
    clipped = by_hand([[batch] for batch in BATCHES], lambda m: clip_grad_norm_(m.parameters(), 0.1))
    assert largest_difference(fit(BATCHES, gradient_clip_val=0.1), clipped) < EQUAL
    assert largest_difference(fit(BATCHES), clipped) > DIFFERENT  # control


def test_accumulation_is_the_mean_gradient_of_the_micro_batches() -> None:
    accumulated = fit(BATCHES, accumulate_grad_batches=2)
    assert largest_difference(accumulated, by_hand([BATCHES[:2], BATCHES[2:]])) < EQUAL
    assert largest_difference(accumulated, by_hand([BATCHES[:1], BATCHES[2:3]])) > DIFFERENT  # control


@pytest.fixture(scope="module")
def shared(processes: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Shares:
    folder = tmp_path_factory.mktemp("ddp")
    train_together(processes, share, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_two_processes_with_distinct_trials_are_one_with_all_of_them(shared: Shares) -> None:
    assert not torch.equal(shard(0, 0)[0], shard(1, 0)[0])
    alone = fit([whole(update) for update in range(UPDATES)])
    assert largest_difference(shared[0]["distinct"], shared[1]["distinct"]) == 0
    assert largest_difference(shared[0]["distinct"], alone) < 1e-10
    assert largest_difference(shared[0]["same"], alone) > DIFFERENT  # control: both have the same trials
    assert largest_difference(shared[0]["own rates"], alone) > DIFFERENT  # control: each has rates of its trials alone


def test_early_stopping_and_the_best_checkpoint(tmp_path: Path) -> None:
    stop = EarlyStopping("loss", patience=1, min_delta=10.0)  # no loss falls by that much
    keep = ModelCheckpoint(tmp_path, monitor="loss", mode="min")
    trainer = trainer_of(e_prop(), stop, keep, max_epochs=50, enable_checkpointing=True)
    trainer.fit(module(), loader(BATCHES))
    assert trainer.current_epoch < 5
    assert Path(keep.best_model_path).exists()
    assert keep.best_model_score is not None


def test_a_checkpoint_brings_back_rule_and_feedback(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, save_last=True)
    trained = module()
    trainer_of(e_prop(), keep, enable_checkpointing=True).fit(trained, loader(BATCHES))
    loaded = Own.load_from_checkpoint(tmp_path / "last.ckpt").double()
    assert (loaded.hidden.rule, loaded.readout.feedback) == (EProp(), Feedback("random"))
    assert torch.equal(loaded.readout.feedback_weights(1), _feedback_weights(seed=11))
    assert not torch.equal(loaded.readout.feedback_weights(1), _feedback_weights(seed=12))  # control
    assert largest_difference(weights(loaded), weights(trained)) < 1e-6  # float32 in the checkpoint's reader


def _feedback_weights(seed: int) -> Tensor:
    drawn = torch.randn(12, 3, generator=torch.Generator().manual_seed(seed))
    return (drawn / 12**0.5)[None].double()


def test_a_checkpoint_resumes_under_its_own_rule_only(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, save_last=True)
    trainer_of(e_prop(), keep, enable_checkpointing=True).fit(module(), loader(BATCHES))
    last = tmp_path / "last.ckpt"
    resumed = module()
    trainer_of(e_prop(), max_epochs=2).fit(resumed, loader(BATCHES), ckpt_path=last, weights_only=True)
    assert largest_difference(weights(resumed), by_hand([[batch] for batch in (*BATCHES, *BATCHES)])) < EQUAL
    with pytest.raises(UsageError, match="trained with the rule EProp.*this fit has BPTT"):
        trainer_of(EPropCallback(BPTT()), max_epochs=2).fit(
            module(), loader(BATCHES), ckpt_path=last, weights_only=True
        )
    with pytest.raises(UsageError, match="trained with the feedback"):
        trainer_of(EPropCallback(feedback="global"), max_epochs=2).fit(
            module(), loader(BATCHES), ckpt_path=last, weights_only=True
        )


def test_bf16_mixed_computes_the_rule_in_float32() -> None:
    batches = [(x.float(), label) for x, label in BATCHES[:1]]
    mixed, full = Own(), Own()
    trainer_of(e_prop(), precision="bf16-mixed").fit(mixed, loader(batches))
    trainer_of(e_prop()).fit(full, loader(batches))
    assert largest_difference(weights(mixed), weights(full)) < 1e-7
    assert largest_difference(weights(mixed), weights(Own())) > DIFFERENT  # control: it has learned


def test_bf16_true_is_refused_in_a_sentence() -> None:
    with pytest.raises(UsageError, match="w_in is bfloat16: a learning rule computes in float32 or float64"):
        trainer_of(e_prop(), precision="bf16-true").fit(Own(), loader([(x.bfloat16(), y) for x, y in BATCHES[:1]]))


def test_frozen_layers_stay_and_the_readout_learns() -> None:
    trained, start = module(), weights(module())
    trainer_of(EPropCallback(Frozen(), feedback=None)).fit(trained, loader(BATCHES))
    assert largest_difference(weights(trained.hidden), weights(module().hidden)) == 0
    assert float((trained.readout.w_out.detach() - start["readout.w_out"]).abs().max()) > DIFFERENT
    assert all(parameter.requires_grad for parameter in trained.parameters())


class Plain(pl.LightningModule):
    """Without a layer of the library."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 3)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.linear(batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Unread(Plain):
    """A layer that a torch.nn.Linear reads out."""

    def __init__(self) -> None:
        super().__init__()
        from repro.eprop import LIF

        self.hidden = RecurrentLayer(LIF(), 8, 8)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.linear(self.hidden(batch[0])).square().sum()


class Bypassed(Own):
    """Calls the layer's reference in place of the layer."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        z, _ = self.hidden.unroll(batch[0])
        return self.readout(z).square().sum()


def test_a_module_without_a_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="Plain has no layer that learns by a rule: build it of RecurrentLayer"):
        trainer_of(e_prop()).fit(Plain().double(), loader(BATCHES))


def test_feedback_without_a_readout_is_refused() -> None:
    with pytest.raises(UsageError, match="Unread has no Readout for feedback='random'"):
        trainer_of(e_prop()).fit(Unread().double(), loader(BATCHES))
    trainer_of(EPropCallback(feedback=None)).fit(Unread().double(), loader(BATCHES))


def test_two_rules_are_refused() -> None:
    with pytest.raises(UsageError, match="two learning rules"):
        trainer_of(e_prop(), EPropCallback(BPTT())).fit(module(), loader(BATCHES))


def test_gradients_that_bypass_the_rule_are_an_error() -> None:
    with pytest.raises(UsageError, match="hidden received a gradient that did not come from its rule"):
        trainer_of(e_prop()).fit(Bypassed().double(), loader(BATCHES))


def test_a_rule_that_a_layer_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError, match="learns in windows, of LSTM layers"):
        trainer_of(EPropCallback(EProp3())).fit(module(), loader(BATCHES))
    with pytest.raises(UsageError, match="a rule is an object such as"):
        EPropCallback("eprop")
    with pytest.raises(UsageError, match="one of symmetric, random, global"):
        EPropCallback(feedback="randm")


def test_validation_and_prediction_need_no_rule() -> None:
    trained = module()
    trainer_of(e_prop()).fit(trained, loader(BATCHES), loader(BATCHES))
    assert "validation_loss" in trainer_of().validate(trained, loader(BATCHES), verbose=False)[0]


def test_the_rate_term_of_the_module_is_alive() -> None:
    z = module().hidden(trial(3)[0])
    assert 0.01 < float(z.mean()) < 0.3
    assert float(RateTerm("sum_khz", 100.0)(z)) > 0.01
    assert isinstance(module().readout, Readout)
