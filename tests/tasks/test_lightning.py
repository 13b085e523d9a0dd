"""The tasks' modules and data in a Trainer of one's own: checkpoints, early stopping, validate, test and predict."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor

from repro.eprop import BPTT, EProp, Feedback
from repro.eprop.errors import NotFiniteError, UsageError
from repro.errors import RunFailed, UserError
from repro.records.record import read_record
from repro.runs.rules import learning_rules
from repro.runs.run import run
from repro.runs.spiking_module import SpikingModule
from tasks import get_task
from tasks.speech import data as speech_data
from tasks.speech.features import CHANNELS, Features
from tasks.speech.module import SpeechModule
from tests.runs.small import largest_difference, trainer_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SMALL: dict[str, dict[str, str]] = {
    "pattern_generation": {"iterations": "3"},
    "store_recall": {"iterations": "3", "batch_size": "4", "trial_ms": "240", "period_ms": "40"},
    "speech": {"n_lif": "6", "n_alif": "4", "n_lstm": "5", "batch_size": "3", "epochs": "1"},
    "arm_reaching": {"iterations": "3", "batch_size": "2"},
}
MADE = [
    ("pattern_generation", "e_prop_1"),
    ("pattern_generation", "bptt"),
    ("store_recall", "e_prop_1"),
    ("speech", "e_prop_1"),
    ("speech", "lstm_bptt"),
    ("arm_reaching", "e_prop_2_spiking"),
    ("arm_reaching", "no_inner_update"),
]


@pytest.fixture(autouse=True)
def noise_in_place_of_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    splits = {"train": split(range(5, 11)), "validation": split((4, 9, 6, 5, 3)), "test": split((7, 3, 5, 6))}
    monkeypatch.setattr(speech_data, "corpus", lambda config: None)
    monkeypatch.setattr(speech_data, "prepared", lambda corpus, scaling, sizes: splits)


def split(lengths: Any) -> Features:
    random = torch.Generator().manual_seed(len(lengths))
    frames = [torch.rand(length, CHANNELS, generator=random) for length in lengths]
    labels = [torch.randint(61, (length,), generator=random) for length in lengths]
    return Features(("",) * len(frames), frames, labels)


def made(name: str, variant: str, **settings: str) -> tuple[Any, Any]:
    """The module and the data of a task in a small size."""
    task = get_task(name)
    data_of: dict[str, Any] = {"corpus": "stand_in", "train_utterances": 6} if name == "speech" else {}
    config = task.resolve(variant, "smoke", SMALL[name] | settings, data=data_of)
    return task.load("module")(config, 0), task.load("data")(config, 0)


def fitted(module: Any, data: Any, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    trainer = trainer_of(*learning_rules(module.config, 0), *callbacks, enable_checkpointing=True, **options)
    trainer.fit(module, data)
    return trainer


@torch.no_grad()
def outputs(module: Any, data: Any) -> Tensor:
    batch = next(iter(data.train_dataloader()))
    if isinstance(module, SpeechModule):
        return module.read(batch)
    if isinstance(module, SpikingModule):
        return module.simulate(batch)[0]
    return module.inner_loop(batch, test_output=False).test.y


@pytest.mark.parametrize(("name", "variant"), MADE)
def test_a_module_comes_back_from_its_checkpoint_alone(name: str, variant: str, tmp_path: Path) -> None:
    module, data = made(name, variant)
    untrained = outputs(module, data)
    keep = ModelCheckpoint(tmp_path, save_last=True)
    fitted(module, data, keep)
    loaded = type(module).load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert (loaded.config, loaded.seed) == (module.config, 0)
    assert largest_difference(loaded, module) == 0
    assert torch.equal(outputs(loaded, data), outputs(module, data))
    assert not torch.equal(outputs(module, data), untrained)  # control: it has learned
    if name in ("pattern_generation", "store_recall"):
        wanted = (BPTT(), Feedback()) if variant == "bptt" else (EProp(), Feedback("random"))
        assert (loaded.network.layer.rule, loaded.network.readout.feedback) == wanted


@pytest.mark.parametrize(
    ("name", "metric"), [("pattern_generation", "nmse"), ("store_recall", "loss"), ("arm_reaching", "test_mse")]
)
def test_early_stopping_and_the_best_checkpoint(name: str, metric: str, tmp_path: Path) -> None:
    module, data = made(name, MADE[[n for n, _ in MADE].index(name)][1])
    stop = EarlyStopping(metric, patience=1, min_delta=1e6, check_on_train_epoch_end=True)  # nothing falls by that much
    keep = ModelCheckpoint(tmp_path, monitor=metric, mode="min", save_on_train_epoch_end=True)
    trainer = fitted(module, data, stop, keep, max_epochs=50)
    assert trainer.current_epoch < 5
    assert Path(keep.best_model_path).exists()
    assert keep.best_model_score is not None
    plain, _ = made(name, MADE[[n for n, _ in MADE].index(name)][1])
    assert fitted(plain, data, max_epochs=6).current_epoch == 6  # control: what ended it was the callback


def test_the_best_of_validation_is_kept(tmp_path: Path) -> None:
    for name, metric in (("store_recall", "validation_error"), ("speech", "validation_accuracy")):
        module, data = made(name, "e_prop_1")
        keep = ModelCheckpoint(tmp_path / name, monitor=metric)
        fitted(module, data, keep)
        assert keep.best_model_score is not None
        assert 0 <= float(keep.best_model_score) <= 1


def test_speech_is_validated_tested_and_predicted() -> None:
    module, data = made("speech", "e_prop_1")
    trainer = trainer_of()
    for stage, part, run_stage in (
        ("validation", data.splits["validation"], trainer.validate),
        ("test", data.splits["test"], trainer.test),
    ):
        (found,) = run_stage(module, data, verbose=False)
        right = frames = 0
        for batch in data.evaluation_batches(stage):
            with torch.no_grad():
                predicted = module.predicted(module.read(batch), batch)
            real = batch.labels >= 0
            right, frames = right + int((predicted == batch.labels)[real].sum()), frames + int(real.sum())
        assert frames == sum(len(labels) for labels in part.labels)
        assert found[f"{stage}_accuracy"] == pytest.approx(right / frames)
    predicted = trainer.predict(module, data)
    lengths = [int(row.ge(0).sum()) for batch in predicted for row in batch]
    assert sorted(lengths) == [3, 5, 6, 7]


def test_store_recall_is_validated_tested_and_predicted() -> None:
    module, data = made("store_recall", "e_prop_1")
    trainer = trainer_of()
    predicted: Any = trainer.predict(module, data)
    targets = [batch.schedule.target for batch in data.test_dataloader()]
    wrong = sum(int(torch.ne(bits, target).sum()) for bits, target in zip(predicted, targets, strict=True))
    recalls = sum(int((target >= 0).sum()) for target in targets)
    assert trainer.test(module, data, verbose=False)[0]["test_error"] == pytest.approx(wrong / recalls)
    assert "validation_error" in trainer.validate(module, data, verbose=False)[0]
    one, other = (next(iter(loader)).inputs.start for loader in (data.val_dataloader(), data.test_dataloader()))
    assert not torch.equal(one, other)  # other trials


@pytest.mark.parametrize(
    ("raised", "caught", "sentence"),
    [
        (NotFiniteError("variables"), RunFailed, "membrane voltages are no longer finite: try a lower learning_rate"),
        (UsageError("wrong use"), UserError, "wrong use"),
    ],
)
def test_exceptions_of_the_library_in_a_run(
    raised: UsageError, caught: type[Exception], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(self: Any, batch: Any) -> None:
        raise raised

    monkeypatch.setattr(SpikingModule, "step", step)
    with pytest.raises(caught, match=sentence) as error:
        run(get_task("pattern_generation"), "e_prop_1", "smoke", 0, {}, tmp_path)
    assert "\n" not in str(error.value)
    records = [read_record(path.parent) for path in tmp_path.glob("*/*/*/record.json")]
    assert [(record.status, record.reason) for record in records] == (
        [("failed", sentence)] if caught is RunFailed else []
    )


def test_weights_that_are_too_large_are_a_failed_run(tmp_path: Path) -> None:
    """Infinity in a voltage silences a neuron, which no loss shows."""
    settings = {"learning_rate": "1e38", "iterations": "40"}
    with pytest.raises(RunFailed, match="no longer finite"):
        run(get_task("pattern_generation"), "e_prop_1", "smoke", 0, settings, tmp_path)


def test_carried_states_are_trained_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = made("store_recall", "e_prop_1")
    module.config = dataclasses.replace(module.config, states="carried")
    batch = next(iter(data.train_dataloader()))
    module.simulate(batch)
    monkeypatch.setattr("tasks.store_recall.module.process_of", lambda: (0, 2))
    with pytest.raises(UserError, match="states=carried is trained in one process"):
        module.simulate(batch)
