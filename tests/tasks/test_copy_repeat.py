"""Task 3.1: its windows, its errors, what is reset between sequences, and a run that is interrupted."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.errors import UserError
from repro.records.record import read_arrays, read_record
from repro.runs.rules import learning_rules, window_rule
from repro.runs.run import run
from repro.runs.task import Profile
from tasks.copy_repeat.config import TASK as REGISTERED
from tasks.copy_repeat.config import VARIANTS, CopyRepeatConfig
from tasks.copy_repeat.data import CopyRepeatData, CopyWindow, bits, in_windows
from tasks.copy_repeat.module import CopyRepeatModule
from tasks.copy_repeat.record import summary
from tasks.copy_repeat.sequences import Level, sequences
from tests.library.own import largest_difference, trainer_of, weights

# Every second batch or so is "solved", so that the curriculum moves.
TINY: dict[str, Any] = {"units": 7, "synthetic_hidden": 5, "batch_size": 4, "learning_rate": 0.01, "solved_bits": 17.5}
TASK = dataclasses.replace(REGISTERED, panels=(), profiles={"tiny": Profile("a test", {**TINY, "iterations": 8}, (0,))})


W_REC = "network.layer.w_rec"


def made(variant: str, **values: Any) -> CopyRepeatModule:
    config = CopyRepeatConfig(**{**TINY, **VARIANTS[variant].settings, **values})
    module = CopyRepeatModule(config, 0)
    module.network.layer.rule = window_rule(config)
    return module


def gradients(module: CopyRepeatModule, windows: list[CopyWindow]) -> dict[str, Tensor]:
    """The sum over windows, with no update between them."""
    module.zero_grad()
    for window in windows:
        module.window_loss(window).loss.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def test_windows_cut_a_sequence_and_have_the_next_input() -> None:
    whole = sequences(Level(3, 2), 2, 0, "training", 0)  # 12 steps, with targets from step 5 on
    cut = in_windows(whole, 5)
    assert [w.this.inputs.shape[1] for w in cut] == [5, 5, 2]
    assert torch.equal(torch.cat([w.this.inputs for w in cut], dim=1), whole.inputs)
    assert torch.equal(torch.cat([w.this.target for w in cut], dim=1), whole.target)
    assert [w.this.first_target_step for w in cut] == [5, 0, 0]
    assert [(w.begins, w.ends, w.length) for w in cut] == [(True, False, 12), (False, False, 12), (False, True, 12)]
    for now, later in itertools.pairwise(cut):
        assert now.following is later.this
        assert now.this.next_input is not None and torch.equal(now.this.next_input, later.this.inputs[:, 0])
    assert cut[-1].following is None and cut[-1].this.next_input is None
    (one,) = in_windows(whole, 0)
    assert one.begins and one.ends and torch.equal(one.this.inputs, whole.inputs)


def test_errors_are_bits_of_the_steps_that_have_a_target() -> None:
    whole = sequences(Level(3, 2), 2, 0, "training", 0)
    readout = torch.randn(2, 12, 9, generator=torch.Generator().manual_seed(1))
    odds, b = readout.sigmoid(), whole.target
    of_each = -(b * odds.log2() + (1 - b) * (1 - odds).log2())
    assert float(bits(readout, whole.target, 5)) == pytest.approx(float(of_each[:, 5:].sum()), rel=1e-5)
    assert float(of_each.sum()) != pytest.approx(float(of_each[:, 5:].sum()), rel=0.01)  # control: all steps
    parts = zip(in_windows(whole, 4), readout.split(4, dim=1), strict=True)
    assert float(sum(bits(y, w.this.target, w.this.first_target_step) for w, y in parts)) == pytest.approx(
        float(of_each[:, 5:].sum()), rel=1e-5
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_of_one_sequence_reaches_the_next(variant: str) -> None:
    first, second = (in_windows(sequences(Level(2, 2), 4, 0, "training", k), 4) for k in (0, 1))
    alone = gradients(made(variant), second)
    module = made(variant)
    gradients(module, first)
    after = gradients(module, second)
    for name, wanted in alone.items():
        assert torch.equal(after[name], wanted), name
    carried_on = [window._replace(begins=False) for window in second]  # control: without the reset
    module = made(variant)
    gradients(module, first)
    assert not torch.equal(gradients(module, carried_on)[W_REC], alone[W_REC])


def test_what_the_variants_are() -> None:
    windows = in_windows(sequences(Level(2, 2), 4, 0, "training", 0), 4)
    series = {variant: gradients(made(variant), windows)[W_REC] for variant in VARIANTS if "full" not in variant}
    # Predictions begin at zero, so that the first gradients are those without them, but for those of E_SG.
    for with_prediction, without in (("synthetic_gradients", "bptt_4"), ("e_prop_3", "bptt_4_traces")):
        module = made(with_prediction, synthetic_into_network=False)
        torch.testing.assert_close(gradients(module, windows)[W_REC], series[without])
    for one, other in itertools.combinations(series, 2):
        begun_alike = {one, other} in ({"synthetic_gradients", "bptt_4"}, {"e_prop_3", "bptt_4_traces"})
        assert begun_alike or not torch.allclose(series[one], series[other], rtol=1e-3), (one, other)


@pytest.mark.parametrize(
    ("with_prediction", "without"), [("synthetic_gradients", "bptt_4"), ("e_prop_3", "bptt_4_traces")]
)
def test_predictions_are_learned_and_reach_the_network(with_prediction: str, without: str) -> None:
    """They begin at zero, so that only updates show it."""
    windows = in_windows(sequences(Level(2, 2), 4, 0, "training", 0), 4)

    def after_updates(variant: str) -> tuple[CopyRepeatModule, dict[str, Tensor]]:
        module = made(variant, synthetic_into_network=False)
        optimizer = module.configure_optimizers()
        for _ in range(3):
            for window in windows:
                optimizer.zero_grad()
                module.window_loss(window).loss.backward()
                optimizer.step()
        return module, gradients(module, windows)

    module, predicting = after_updates(with_prediction)
    assert module.predictor is not None
    assert all(bool((weight != 0).any()) for weight in (module.predictor.out, module.predictor.out_bias))
    _, plain = after_updates(without)
    assert not torch.allclose(predicting[W_REC], plain[W_REC], rtol=1e-3)


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = run(TASK, "e_prop_3", "tiny", 0, out=tmp_path / "whole")
    (folder,) = (tmp_path / "whole/copy_repeat").glob("*/seed-0")
    arrays = read_arrays(folder, whole)
    assert len(arrays["loss"]) == 8
    assert arrays["length"][0] == 5 and arrays["length"][-1] > 5, "the curriculum did not move"
    assert whole.metrics["length_solved"] == arrays["length_solved"][-1] > 0
    assert len(arrays["example_output"]) == whole.metrics["length_solved"], "not of the hardest level that was solved"

    class Stop(pl.Callback):
        """In the middle of a sequence."""

        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
            if trainer.global_step == 13 and not outputs["metrics"]:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(TASK, "e_prop_3", "tiny", 0, out=tmp_path / "parts", callbacks=[Stop()])
    (parts,) = (tmp_path / "parts/copy_repeat").glob("*/seed-0")
    came = len(read_arrays(parts, read_record(parts))["loss"])
    assert 0 < came < 8 and read_record(parts).reason == f"{came} of 8 iterations"
    resumed = run(TASK, "e_prop_3", "tiny", 0, out=tmp_path / "parts")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert resumed.metrics == whole.metrics
    assert run(TASK, "e_prop_3", "tiny", 1, out=tmp_path / "other").weights_sha256 != whole.weights_sha256  # control


@pytest.mark.parametrize(
    ("solved", "after", "flattened"),
    [([0, 5, 5, 5], 2, 1), ([0, 0, 5, 5], 3, 0), ([5, 5, 5, 7], 4, 0), ([5], 1, 0), ([0, 0, 0, 0], 0, 0)],
)
def test_a_curve_has_flattened_where_something_was_solved_and_nothing_more_in_the_second_half(
    solved: list[int], after: int, flattened: int
) -> None:
    numbers = summary({"length_solved": np.array(solved, float)}, CopyRepeatConfig())
    assert (numbers["solved_after"], numbers["flattened"]) == (after, flattened)
    assert numbers["length_solved"] == solved[-1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"recurrence": "false"}, "wants recurrence=true"),
        ({"truncation_steps": "0"}, "truncation_steps above 0"),
        ({"vectors": "truncated", "recurrence": "false", "synthetic": "false"}, "leave vectors alone"),
        ({"vectors": "some"}, "vectors is one of carried, none, truncated"),
    ],
)
def test_bad_values_are_refused_before_anything_is_written(
    settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        run(TASK, "e_prop_3", "tiny", 0, settings, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variant", ["e_prop_3", "bptt_4"])
def test_a_checkpoint_loads_without_arguments(variant: str, tmp_path: Path) -> None:
    config = CopyRepeatConfig(**{**TINY, **VARIANTS[variant].settings, "iterations": 2})
    save = pl.callbacks.LambdaCallback(on_train_end=lambda trainer, _: trainer.save_checkpoint(tmp_path / "last.ckpt"))
    trainer, module = trainer_of(*learning_rules(config, 3), save), CopyRepeatModule(config, 3)
    trainer.fit(module, datamodule=CopyRepeatData(config, 3))
    assert set(trainer.callback_metrics) == {"loss", "length", "length_solved"}
    loaded = CopyRepeatModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert loaded.config == config and loaded.seed == 3
    assert loaded.network.layer.rule == window_rule(config)
    assert largest_difference(weights(loaded), weights(module)) == 0
    assert largest_difference(weights(loaded), weights(CopyRepeatModule(config, 3))) > 0  # control: it was trained
