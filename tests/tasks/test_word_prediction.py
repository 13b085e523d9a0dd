"""Task 3.2: its windows and streams, its variants, its learning rates, which gradients the norm counts."""

import dataclasses
import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from repro.errors import UserError
from repro.runs.rules import learning_rules, window_rule
from tasks.word_prediction.config import TASK, VARIANTS
from tasks.word_prediction.data import WordPredictionData, WordWindow
from tasks.word_prediction.encoding import Corpus
from tasks.word_prediction.evaluation import perplexity
from tasks.word_prediction.module import WordPredictionModule
from tests.library.own import largest_difference, trainer_of, weights
from tests.tasks import made_up
from tests.tasks.made_up import config, data_of

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec")  # Lightning and torch, among themselves
ON_TAPE = "bptt_20_two_layers"
RULES = [variant for variant in VARIANTS if variant != ON_TAPE]
PREDICTING = {"synthetic_gradients": "bptt_4", "e_prop_3": "bptt_4_traces"}  # and the same without
W_REC = "network.layer.w_rec"


@pytest.fixture(autouse=True)
def text(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    return made_up.use(monkeypatch)


def made(variant: str, **values: Any) -> WordPredictionModule:
    # Larger weights than the paper's, or their effects on each other would hardly show.
    settings = config(variant, **{"truncation_steps": 4, "init_scale": 0.8, **values})
    module = WordPredictionModule(settings, 0)
    module.network.layer.rule = window_rule(settings)
    return module


def gradients(module: WordPredictionModule, windows: list[WordWindow]) -> dict[str, Tensor]:
    """The sum over windows, with no update between them."""
    module.zero_grad()
    for window in windows:
        module.window_loss(window).loss.backward()
    return {name: p.grad.to_dense().clone() for name, p in module.named_parameters() if p.grad is not None}


def test_windows_are_contiguous_and_have_the_next_word(text: Corpus) -> None:
    windows = list(data_of(truncation_steps=5)._epoch(2))
    streams = torch.from_numpy(text.splits["training"][:128].reshape(4, 32)).long()  # two words are left over
    assert torch.equal(torch.cat([w.this.inputs for w in windows], dim=1), streams[:, :30])
    assert torch.equal(torch.cat([w.this.target for w in windows], dim=1), streams[:, 1:31])
    assert [w.begins for w in windows] == [True, *[False] * 5]
    assert [w.ends for w in windows] == [*[False] * 5, True]
    assert {(w.epoch, w.steps) for w in windows} == {(2, 30)}
    for now, later in itertools.pairwise(windows):
        assert now.following is not None and torch.equal(now.following.inputs, later.this.inputs)
        assert torch.equal(now.following.target, later.this.target)
        assert now.this.next_input is not None and torch.equal(now.this.next_input, later.this.inputs[:, 0])
        assert (now.following.next_input is None) == later.ends
    assert windows[-1].following is None and windows[-1].this.next_input is None
    part = data_of(training_words=50, truncation_steps=5).streams
    assert torch.equal(part, torch.from_numpy(text.splits["training"][:48].reshape(4, 12)).long())


def test_processes_share_the_streams() -> None:
    alone = data_of()
    parts = []
    for rank in range(2):
        shared: Any = data_of()
        shared.trainer = SimpleNamespace(world_size=2, global_rank=rank)
        parts.append([window.this.inputs for window in shared.train_dataloader().batch_of(0)])
    for whole, *of_both in zip(alone._epoch(0), *parts, strict=True):
        assert [len(part) for part in of_both] == [2, 2]
        assert torch.equal(torch.cat(of_both), whole.this.inputs)
    shared.trainer = SimpleNamespace(world_size=3, global_rank=0)
    with pytest.raises(UserError, match="batch_size=4: 3 processes cannot share so many streams evenly"):
        next(shared._epoch(0))


@pytest.mark.parametrize("variant", RULES)
def test_nothing_of_one_epoch_reaches_the_next(variant: str) -> None:
    windows = list(data_of()._epoch(0))
    module = made(variant)
    alone = gradients(module, windows[:3])
    gradients(module, windows)
    for name, gradient in gradients(module, windows[:3]).items():
        assert torch.equal(gradient, alone[name]), name
    carried_on = [window._replace(begins=False) for window in windows[:3]]  # control: without the reset
    assert not torch.equal(gradients(module, carried_on)[W_REC], alone[W_REC])


def test_what_the_variants_are() -> None:
    windows = list(data_of()._epoch(0))[:3]
    series = {v: gradients(made(v), windows)[W_REC] for v in RULES if v != "bptt_20"}
    for with_prediction, without in PREDICTING.items():  # predictions begin at zero
        module = made(with_prediction, synthetic_into_network=False)
        torch.testing.assert_close(gradients(module, windows)[W_REC], series[without])
    for one, other in itertools.combinations(series, 2):
        begun_alike = PREDICTING.get(one) == other or PREDICTING.get(other) == one
        assert begun_alike or not torch.allclose(series[one], series[other], rtol=1e-3), (one, other)
    assert TASK.resolve("bptt_20", "paper", {}).truncation_steps == 20
    paper = {variant: TASK.resolve(variant, "paper", {}) for variant in VARIANTS}
    assert {(c.layers, c.truncation_steps) for v, c in paper.items() if "20" not in v} == {(1, 4)}
    two = dataclasses.asdict(paper[ON_TAPE])
    assert two == dataclasses.asdict(paper["bptt_20"]) | {"layers": 2, "algorithm": "autograd"}


@pytest.mark.parametrize("with_prediction", PREDICTING)
def test_predictions_are_learned_and_reach_the_network(with_prediction: str) -> None:
    """They begin at zero, so that only updates show it."""
    windows = list(data_of()._epoch(0))[:4]

    def after_updates(variant: str) -> tuple[WordPredictionModule, dict[str, Tensor]]:
        module = made(variant, synthetic_into_network=False)
        optimizer = module.configure_optimizers()
        for window in windows:
            optimizer.zero_grad()
            module.window_loss(window).loss.backward()
            optimizer.step()
        return module, gradients(module, windows)

    module, predicting = after_updates(with_prediction)
    assert module.predictor is not None
    assert all(bool((weight != 0).any()) for weight in (module.predictor.out, module.predictor.out_bias))
    _, plain = after_updates(PREDICTING[with_prediction])
    for name in (W_REC, "embedding"):
        assert not torch.allclose(predicting[name], plain[name], rtol=1e-3), name


class Watch(pl.Callback):
    """After each update: the learning rates, and the norms of the network's and the predictions' gradients."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []
        self.norms: list[list[float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        groups = trainer.optimizers[0].param_groups
        grads = [[p.grad.to_dense() for p in group["params"] if p.grad is not None] for group in groups]
        self.rates.append([group["lr"] for group in groups])
        self.norms.append([float(nn.utils.get_total_norm(of_group)) for of_group in grads])


def watched(variant: str, **values: Any) -> Watch:
    settings, watch = config(variant, **values), Watch()
    trainer = trainer_of(*learning_rules(settings, 0), watch, gradient_clip_val=settings.clip_norm or None)
    trainer.fit(WordPredictionModule(settings, 0), datamodule=WordPredictionData(settings, 0))
    return watch


@pytest.mark.parametrize(("synthetic_rate", "first"), [(0.0, 1.0), (0.25, 0.25)])
def test_learning_rates_halve_from_the_fifth_epoch(synthetic_rate: float, first: float) -> None:
    rates = watched("e_prop_3", training_words=60, iterations=7, synthetic_learning_rate=synthetic_rate).rates
    factors = [1, 1, 1, 1, 0.5, 0.25, 0.125]
    assert rates == [[factor, first * factor] for factor in factors for _ in range(3)]


def test_which_gradients_the_norm_counts() -> None:
    values = {"training_words": 60, "iterations": 1, "init_scale": 0.8}
    free, counted, without = (
        watched("e_prop_3", clip_norm=limit, clip_counts_synthetic=counts, **values).norms
        for limit, counts in ((0.0, True), (0.01, True), (0.01, False))
    )
    assert min(network for network, _ in free) > 0.01
    assert [math.hypot(*both) for both in counted] == pytest.approx([0.01] * 3, rel=1e-3)
    assert counted[0][1] > 1e-5, "the predictions' gradient should count"
    assert [network for network, _ in without] == pytest.approx([0.01] * 3, rel=1e-3)
    assert without[0][1] == pytest.approx(free[0][1]), "it stays as it is"
    assert counted[0][0] < without[0][0]


@pytest.mark.parametrize("variant", ["e_prop_3", ON_TAPE])
def test_a_checkpoint_loads_without_arguments_and_evaluates(variant: str, tmp_path: Path) -> None:
    settings = config(variant, truncation_steps=4, iterations=1, init_scale=0.8)
    save = pl.callbacks.LambdaCallback(on_train_end=lambda trainer, _: trainer.save_checkpoint(tmp_path / "last.ckpt"))
    module, data = WordPredictionModule(settings, 3), WordPredictionData(settings, 3)
    trainer = trainer_of(*learning_rules(settings, 3), save)
    trainer.fit(module, datamodule=data)
    assert set(trainer.callback_metrics) == {"loss", "learning_rate"}
    loaded = WordPredictionModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert loaded.config == settings and loaded.seed == 3
    assert variant == ON_TAPE or loaded.network.layer.rule == window_rule(settings)
    assert largest_difference(weights(loaded), weights(module)) == 0
    assert (
        largest_difference(weights(loaded), weights(WordPredictionModule(settings, 3))) > 0
    )  # control: it was trained
    (tested,) = trainer_of().test(loaded, datamodule=data, verbose=False)
    (valid,) = trainer_of().validate(loaded, datamodule=data, verbose=False)
    wanted = perplexity(module.embedding, module.as_stack(), data.evaluated["test"])
    assert tested["test_perplexity"] == pytest.approx(wanted)
    assert valid["valid_perplexity"] != pytest.approx(wanted, rel=1e-4)  # control: another text
