"""Task 1.3: its batches, its loss, its evaluations, the LSTM, and a run that is interrupted."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from repro.eprop.kernels.events import Held
from repro.errors import UserError
from repro.records.record import read_arrays
from repro.runs.rules import learning_rules
from repro.runs.run import run
from tasks.speech import data as speech_data
from tasks.speech.config import TASK, VARIANTS, SpeechConfig
from tasks.speech.data import PADDING, SpeechBatch, SpeechData, batch_of
from tasks.speech.features import CHANNELS, Features
from tasks.speech.lstm import BidirectionalLSTM
from tasks.speech.module import SpeechModule
from tasks.speech.record import summary

CONFIG = dataclasses.replace(
    SpeechConfig(corpus="stand_in"),
    **{"train_utterances": 10, "validation_utterances": 3, "test_utterances": 3, "batch_size": 4},
    **{"n_lif": 8, "n_alif": 4, "n_lstm": 6, "epochs": 2.0, "evaluations": 2},
)
needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="espeak-ng is not installed: the extra `speech`"
)


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("TIMIT_DIR", raising=False)


def split(*lengths: int, seed: int = 0) -> Features:
    random = torch.Generator().manual_seed(seed)
    frames = [torch.rand(length, CHANNELS, generator=random) for length in lengths]
    labels = [torch.randint(61, (length,), generator=random) for length in lengths]
    return Features(tuple(f"utterance-{i}" for i in range(len(lengths))), frames, labels)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> SpeechData:
    """A datamodule of noise in place of speech."""
    splits = {"train": split(*range(5, 15)), "validation": split(4, 9, 6, seed=1), "test": split(7, 3, 5, seed=2)}
    monkeypatch.setattr(speech_data, "corpus", lambda config: None)
    monkeypatch.setattr(speech_data, "prepared", lambda corpus, scaling, sizes: splits)
    return SpeechData(CONFIG, 0)


def test_a_checkpoint_is_of_the_same_utterances(data: SpeechData) -> None:
    state = data.state_dict()
    data.load_state_dict(state)
    data.splits["test"].labels[0][0] += 1
    with pytest.raises(UserError, match="this run began with other utterances"):
        data.load_state_dict(state)


def test_a_batch_holds_each_frame_and_pads_at_the_end() -> None:
    there = split(3, 5)
    batch = batch_of(there, [1, 0], 5)
    assert batch.inputs.shape == (2, 25, CHANNELS)
    assert batch.lengths.tolist() == [25, 15]
    assert batch.labels[1].tolist() == [*there.labels[0].tolist(), PADDING, PADDING]
    dense = batch.inputs.dense()
    assert torch.equal(dense[1, :15:5], there.frames[0])
    assert torch.equal(dense[1, 4:15:5], there.frames[0])  # the fifth step of each frame is still the same


def test_an_epoch_goes_through_every_utterance_once(data: SpeechData) -> None:
    seen: list[int] = []
    for index in range(5):  # 20 utterances: two epochs, and the third batch spans both
        seen += [int(length) // 5 for length in data.training_batch(index).lengths]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(5, 15))
    assert seen[:10] != seen[10:]


def test_a_batch_is_a_function_of_its_index_alone(data: SpeechData) -> None:
    forwards = [data.training_batch(index) for index in range(6)]
    for index in reversed(range(6)):
        assert torch.equal(data.training_batch(index).labels, forwards[index].labels)


def test_evaluation_covers_a_split_whole(data: SpeechData) -> None:
    lengths = [int(length) // 5 for batch in data.evaluation_batches("validation") for length in batch.lengths]
    assert sorted(lengths) == [4, 6, 9]


def loss_of(task_loss: str, readout: torch.Tensor, batch: SpeechBatch) -> float:
    return float(SpeechModule(dataclasses.replace(CONFIG, task_loss=task_loss), 0).loss_of(readout, batch))


def test_the_loss_is_eq_51_over_real_steps() -> None:
    batch = batch_of(split(2, 4), [0, 1], 5)
    readout = torch.randn(2, 20, 61, generator=torch.Generator().manual_seed(1))
    log_pi = torch.log_softmax(readout, dim=-1)
    sums = [
        -sum(float(log_pi[b, t, batch.labels[b, t // 5]]) for t in range(5 * frames)) for b, frames in ((0, 2), (1, 4))
    ]
    assert loss_of("sum", readout, batch) == pytest.approx(sum(sums) / 2, rel=1e-5)
    assert loss_of("mean", readout, batch) == pytest.approx((sums[0] / 10 + sums[1] / 20) / 2, rel=1e-5)
    garbage = readout.clone()
    garbage[0, 10:] = 1e3  # padding
    assert loss_of("sum", garbage, batch) == pytest.approx(sum(sums) / 2, rel=1e-5)
    garbage[0, 9] = 1e3  # control: a real step
    assert loss_of("sum", garbage, batch) != pytest.approx(sum(sums) / 2, rel=1e-3)


def test_accuracy_counts_real_frames_alone() -> None:
    module = SpeechModule(CONFIG, 0)
    batch = batch_of(split(2, 4), [0, 1], 5)
    readout = torch.nn.functional.one_hot(batch.labels.clamp_min(0), 61).float().repeat_interleave(5, dim=1)
    assert float(module.metrics(readout, batch)["accuracy"]) == 1.0
    readout[0, :5] = readout[0, :5].roll(1, dims=-1)  # the first frame of six is wrong
    assert float(module.metrics(readout, batch)["accuracy"]) == pytest.approx(5 / 6)
    readout[0, 10:] = readout[0, 10:].roll(1, dims=-1)  # the padding may be anything
    assert float(module.metrics(readout, batch)["accuracy"]) == pytest.approx(5 / 6)


def test_the_lstm_receives_no_padding_in_either_direction() -> None:
    lstm = BidirectionalLSTM(CHANNELS, 6, 61, torch.Generator().manual_seed(0)).double()
    frames = torch.randn(1, 7, CHANNELS, dtype=torch.float64)
    alone = lstm(frames[:, :4], torch.tensor([4]))
    both = lstm(torch.cat([frames, torch.randn_like(frames)]), torch.tensor([4, 7]))
    torch.testing.assert_close(both[:1, :4], alone)
    assert not torch.allclose(lstm(frames, torch.tensor([7]))[:, :4], alone)  # control: frames taken for speech


def test_the_lstm_is_torchs_own_on_packed_sequences() -> None:
    lstm = BidirectionalLSTM(CHANNELS, 6, 61, torch.Generator().manual_seed(0)).double()
    theirs = torch.nn.LSTM(CHANNELS, 6, batch_first=True, bidirectional=True).double()
    for name, weight in [
        *lstm.ahead.named_parameters(),
        *((f"{n}_reverse", p) for n, p in lstm.behind.named_parameters()),
    ]:
        theirs.get_parameter(name).data.copy_(weight.data)
    frames, lengths = torch.randn(3, 9, CHANNELS, dtype=torch.float64), torch.tensor([9, 4, 6])
    packed = torch.nn.utils.rnn.pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False)
    hidden, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    wanted, found = lstm.readout(hidden), lstm(frames, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :length], wanted[row, :length], rtol=0, atol=1e-12)
    turned = lstm(frames, torch.tensor([9, 9, 9]))  # control: turned round with its padding
    assert not torch.allclose(turned[1, :4], wanted[1, :4])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains(variant: str, data: SpeechData) -> None:
    config = dataclasses.replace(CONFIG, **VARIANTS[variant].settings)
    module, trainer = trained(config, data)
    assert trainer.global_step == 5
    fresh = SpeechModule(config, 0)
    moved = {
        name
        for (name, p), q in zip(module.named_parameters(), fresh.parameters(), strict=True)
        if not torch.equal(p, q)
    }
    if variant == "readout_only":
        assert moved == {"network.readout.w_out", "network.readout.b_out"}
    else:
        assert moved == {name for name, _ in fresh.named_parameters()}


def trained(config: SpeechConfig, data: SpeechData, steps: int = 5) -> tuple[SpeechModule, pl.Trainer]:
    module = SpeechModule(config, 0)
    trainer = pl.Trainer(
        max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        callbacks=learning_rules(config, 0), enable_model_summary=False, accelerator="cpu", barebones=False,
    )  # fmt: skip
    trainer.fit(module, data)
    return module, trainer


def test_training_lowers_the_loss(data: SpeechData) -> None:
    """On four utterances, again and again: a rule that learns names them better than the network as drawn."""
    config = dataclasses.replace(CONFIG, feedback="symmetric", v_th=2.0, rate_cost=0.0, epochs=40.0)
    module, _ = trained(config, data, steps=60)
    batch = data.training_batch(0)
    with torch.no_grad():
        before = float(SpeechModule(config, 0).loss_of(SpeechModule(config, 0).read(batch), batch))
        after = float(module.loss_of(module.read(batch), batch))
    assert after < 0.8 * before


def test_summary_takes_the_test_accuracy_of_the_best_validation() -> None:
    series: dict[str, Any] = {
        "validation_accuracy": [0.2, 0.5, 0.4],
        "test_accuracy": [0.1, 0.3, 0.6],
        "evaluated_after": [2.0, 4.0, 5.0],
        "rate_hz": [10.0] * 5,
    }
    found = summary(series, CONFIG)
    assert (found["accuracy"], found["accuracy_last"], found["best_epoch"]) == (0.3, 0.6, 1.6)


@needs_espeak
def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.speech.source.store.ROOT", tmp_path)
    settings = {"epochs": "3", "evaluations": "2", "n_lif": "8", "n_alif": "4"}
    whole = run(TASK, "e_prop_1", "smoke", 0, settings, out=tmp_path / "whole")

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 7:
                raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(TASK, "e_prop_1", "smoke", 0, settings, out=tmp_path / "parts", callbacks=[Stop()])
    resumed = run(TASK, "e_prop_1", "smoke", 0, settings, out=tmp_path / "parts")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert resumed.metrics == whole.metrics
    (folder,) = (tmp_path / "parts/speech").glob("*/seed-0")
    arrays = read_arrays(folder, resumed)
    frames = arrays["example_labels"].shape[0]
    assert arrays["example_spectrogram"].shape == (40, frames)
    assert arrays["example_predicted"].shape == (frames,)
    assert arrays["example_spikes"].shape == (24, 5 * frames)
    assert len(arrays["validation_accuracy"]) == len(arrays["evaluated_after"]) == 2
    assert np.isfinite(arrays["loss"]).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_lif": "0", "n_alif": "0"}, "at least one neuron"),
        ({"trace": "clopath"}, "task 1.1"),
        ({"evaluator": "online"}, "from its end"),
        ({"feedback_window_ms": "20"}, "drawn once"),
        ({"model": "lstm"}, "algorithm=autograd"),
        ({"corpus": "librispeech"}, "corpus is one of timit, stand_in"),
        ({"algorithm": "readout_only", "trace": "truncated"}, "no eligibility trace"),
    ],
)
def test_bad_values_are_refused_before_anything_is_written(
    settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        run(TASK, "e_prop_1", "smoke", 0, settings, out=tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_timit_that_is_not_there_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.speech.source.store.ROOT", tmp_path)
    with pytest.raises(UserError, match="TIMIT_DIR"):
        run(TASK, "e_prop_1", "smoke", 0, {"corpus": "timit"}, out=tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_a_machine_with_timit_trains_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TASK.resolve("e_prop_1", "paper").corpus == "stand_in"
    monkeypatch.setenv("TIMIT_DIR", str(tmp_path))
    config = TASK.resolve("e_prop_1", "paper")
    assert config == SpeechConfig()  # and only then is a record at the paper's size
    assert isinstance(batch_of(split(3), [0], config.frame_steps).inputs, Held)
