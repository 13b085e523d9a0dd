"""Runs of task 3.2: faults are named before anything is written, and an interrupted run ends as if it had not been."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl

from repro.errors import UserError
from repro.records.record import RunRecord, read_arrays
from repro.runs.run import run
from repro.runs.task import Profile
from tasks.word_prediction import data, record
from tasks.word_prediction.config import TASK as REGISTERED
from tasks.word_prediction.encoding import Corpus
from tests.tasks import made_up
from tests.tasks.made_up import TINY

ON_TAPE = "bptt_20_two_layers"
TASK = dataclasses.replace(
    REGISTERED, panels=(), profiles={"tiny": Profile("a test", {**TINY, "iterations": 3, "full_epochs": 1}, (0,))}
)


@pytest.fixture(autouse=True)
def text(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return made_up.use(monkeypatch)


@pytest.mark.parametrize(
    ("lengths", "values", "sentence"),
    [
        ({}, {"vocabulary": 11}, "vocabulary=11: the text has 12 different words"),
        ({"training": 16}, {}, "streams of 4 words hold no window of 4 steps"),
        (
            {"training": 7},
            {},
            "the training text is too short: a text of 7 tokens makes no 4 streams; wanted: 8 tokens",
        ),
        (
            {"validation": 7},
            {},
            "the validation text is too short: a text of 7 tokens makes no 4 streams; wanted: 8 tokens",
        ),
        ({"test": 1}, {}, "the test text is too short: a text of 1 tokens makes no 1 streams; wanted: 2"),
        ({}, {"evaluated_words": 7}, "a text of 7 tokens makes no 4 streams"),
        ({}, {"training_words": 16}, "streams of 4 words hold no window"),
    ],
)
def test_texts_that_do_not_fit_are_refused_before_anything_is_written(
    lengths: dict[str, int], values: dict[str, int], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.use(monkeypatch, **lengths)
    with pytest.raises(UserError, match=sentence):
        run(TASK, "bptt_4", "tiny", 0, {name: str(value) for name, value in values.items()}, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variant", "settings", "sentence"),
    [
        (ON_TAPE, {"vectors": "carried"}, "algorithm=autograd is BPTT"),
        (ON_TAPE, {"algorithm": "windows"}, "layers=2: more than one layer trains by algorithm=autograd"),
        ("e_prop_3", {"recurrence": "false"}, "wants recurrence=true"),
        ("bptt_4", {"vectors": "truncated", "recurrence": "false"}, "leave vectors alone"),
        ("e_prop_3", {"truncation_steps": "0"}, "name the steps of a window"),
        ("e_prop_3", {"corpus": "ptp"}, "corpus is one of ptb, text, stand_in"),
    ],
)
def test_values_that_do_not_go_together(variant: str, settings: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        run(TASK, variant, "tiny", 0, settings, out=tmp_path)
    assert not list(tmp_path.iterdir())


def arrays_of(out: Path, record: RunRecord) -> dict[str, np.ndarray[Any, Any]]:
    (folder,) = (out / "word_prediction").glob("*/seed-0")
    return read_arrays(folder, record)


def no_memory(*_: Any) -> None:
    raise MemoryError


class Stop(pl.Callback):
    """Ctrl+C in the middle of the second epoch."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, _: int) -> None:
        if batch.epoch == 1 and not batch.begins and not batch.ends:
            raise KeyboardInterrupt


@pytest.mark.parametrize("variant", ["e_prop_3", ON_TAPE])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"truncation_steps": "4"}
    whole = run(TASK, variant, "tiny", 0, settings, out=tmp_path / "whole")
    arrays = arrays_of(tmp_path / "whole", whole)
    assert arrays["learning_rate"].tolist() == [1, 0.5, 0.25]
    assert whole.metrics["perplexity"] == pytest.approx(arrays["test_perplexity"][-1]) and whole.metrics["epochs"] == 3
    assert whole.metrics["valid_perplexity"] == pytest.approx(arrays["valid_perplexity"][-1])

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(TASK, variant, "tiny", 0, settings, out=tmp_path / "parts", callbacks=[Stop()])
    with monkeypatch.context() as patch, pytest.raises(MemoryError):  # and after the last epoch
        patch.setattr(record, "example", no_memory)
        run(TASK, variant, "tiny", 0, settings, out=tmp_path / "parts")
    resumed = run(TASK, variant, "tiny", 0, settings, out=tmp_path / "parts")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert resumed.metrics == whole.metrics and resumed.arrays_sha256 == whole.arrays_sha256
    assert run(TASK, variant, "tiny", 1, settings, out=tmp_path).weights_sha256 != whole.weights_sha256  # control


def test_a_run_is_resumed_with_the_same_text_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: Corpus
) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(TASK, "bptt_4", "tiny", 0, out=tmp_path, callbacks=[Stop()])
    other = made_up.use(monkeypatch, seed=1)
    sentence = f"began with another text \\(digest {text.digest}, now {other.digest}\\): bring that one back"
    with pytest.raises(UserError, match=sentence):
        run(TASK, "bptt_4", "tiny", 0, out=tmp_path)
    monkeypatch.setattr(data, "corpus", lambda kind: text._replace(label="the same by another name"))
    assert run(TASK, "bptt_4", "tiny", 0, out=tmp_path).metrics["epochs"] == 3
