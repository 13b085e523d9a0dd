"""The Lightning module of task 1.3."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.bidirectional import Bidirectional
from repro.eprop.kernels.padding import real_steps
from repro.eprop.neurons.alif import ALIF
from repro.readout import Readout
from repro.rules.callback import Outcome
from repro.training.module import SpikingModule
from tasks.speech import example
from tasks.speech.config import SpeechConfig
from tasks.speech.data import PADDING, Batch
from tasks.speech.features import CHANNELS
from tasks.speech.lstm import BidirectionalLSTM
from tasks.speech.phones import PHONES

SMOOTHED = 20  # iterations over which the last firing rate is a mean


class SpeechModule(SpikingModule):
    """LIF and ALIF neurons (or LSTM units) that read an utterance both ways, and a readout for each phone."""

    config: SpeechConfig

    def __init__(self, config: SpeechConfig, seed: int) -> None:
        super().__init__(config, seed)
        c, random = config, self.generator("weights")
        if c.model == "lstm":
            self.network: Any = BidirectionalLSTM(CHANNELS, c.n_lstm, len(PHONES), random)
            return
        each = c.n_lif + c.n_alif
        frames = c.frame_steps if c.readout_every == "frame" else 1
        self.network = Bidirectional(
            ALIF(c.tau_m_ms, c.v_th, c.refractory_ms, c.dampening, c.beta, c.tau_a_ms, c.n_alif, c.dt_ms),
            Readout(c.tau_out_ms, c.readout_scale == "one_minus_kappa", c.dt_ms, frames),
            CHANNELS,
            each,
            len(PHONES),
            random,
        )

    @property
    def steps(self) -> int:
        """Time steps of a trial differ: no part of the rule may count on them."""
        return 0

    def objective(self, readout: Tensor, batch: Batch, first_step: int = 0) -> Tensor:
        """Cross entropy (Eq. 51) of `readout` [batch, time or frame, phone] over the real steps of each utterance, as a
        sum over them or their mean; then the mean over utterances."""
        steps_each = readout.shape[1] // batch.labels.shape[1]
        wanted = batch.labels.repeat_interleave(steps_each, dim=1)
        of_step = torch.nn.functional.cross_entropy(
            readout.transpose(0, 1).flatten(0, 1), wanted.T.flatten(), ignore_index=PADDING, reduction="none"
        )
        of_utterance = of_step.view(wanted.shape[1], wanted.shape[0]).sum(dim=0)
        if self.config.task_loss == "mean":
            of_utterance = of_utterance / ((batch.labels >= 0).sum(dim=1) * steps_each)
        return of_utterance.mean()

    @staticmethod
    def named(readout: Tensor, batch: Batch) -> Tensor:
        """The phone that the mean readout of each frame names, [batch, frame]."""
        return readout.unflatten(1, (batch.labels.shape[1], -1)).mean(dim=2).argmax(dim=-1)

    def metrics(self, readout: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The share of frames that are named rightly."""
        right, frames = self._right(readout, batch)
        return {"accuracy": right / frames}

    def _plain_bptt(self, batch: Batch) -> Outcome:
        if self.config.model == "lsnn":
            return super()._plain_bptt(batch)
        readout = self.read(batch)
        nothing = readout.new_empty(*readout.shape[:2], 0)
        return Outcome(self.objective(readout, batch), readout.detach(), nothing, readout.new_empty(0))

    def read(self, batch: Batch) -> Tensor:
        """The readout [batch, time or frame, phone] of a batch; of spiking networks without a tape."""
        if self.config.model == "lstm":
            return self.network(batch.inputs.frames, batch.lengths // batch.inputs.steps_each)
        sent = [
            direction.network.simulate(direction.sees(batch.inputs, batch.lengths), keep_variables=False)[0].spikes
            for direction in self.network.directions
        ]
        return self.network.join(sent, batch.lengths)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """One batch; LSTM units have no firing rate."""
        outputs = super().training_step(batch, batch_idx)
        if self.config.model == "lstm":
            del outputs["metrics"]["rate_hz"]
        return outputs

    @torch.no_grad()
    def evaluate(self, done: int) -> dict[str, float]:
        """Validation and test accuracy, each so many iterations and after the last."""
        every = max(1, self.config.iterations // self.config.evaluations)
        if done % every and done != self.config.iterations:
            return {}
        trainer: Any = self.trainer
        accuracy = {name: self.accuracy(trainer.datamodule, name) for name in ("validation", "test")}
        return {"evaluated_after": float(done)} | {f"{name}_accuracy": value for name, value in accuracy.items()}

    @torch.no_grad()
    def accuracy(self, data: Any, split: str) -> float:
        """The share of all frames of a split that are named rightly."""
        device = next(self.parameters()).device
        right = frames = 0.0
        for batch in data.evaluation_batches(split):
            here = self.transfer_batch_to_device(batch, device, 0)
            found, of = self._right(self.read(here), here)
            right, frames = right + float(found), frames + float(of)
        return right / frames

    def _right(self, readout: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """How many frames are named rightly, and how many there are."""
        real = real_steps(batch.lengths // batch.inputs.steps_each, batch.labels.shape[1])
        return ((self.named(readout, batch) == batch.labels) & real).sum().float(), real.sum().float()

    @staticmethod
    def summary(series: Mapping[str, np.ndarray[Any, Any]], config: SpeechConfig) -> dict[str, float]:
        """A run's final numbers: test accuracy where that on the validation set was highest, and at the end; none
        before either was measured."""
        if "validation_accuracy" not in series:
            return {}
        best = int(np.argmax(series["validation_accuracy"]))
        found = {
            "accuracy": float(series["test_accuracy"][best]),
            "validation_accuracy": float(series["validation_accuracy"][best]),
            "accuracy_last": float(series["test_accuracy"][-1]),
            "best_epoch": float(series["evaluated_after"][best] * config.batch_size / config.train_utterances),
        }
        if "rate_hz" in series:
            found["rate_hz"] = float(np.mean(series["rate_hz"][-SMOOTHED:]))
        return found

    def analysis(self, data: Any, snapshots: Mapping[int, Mapping[str, Tensor]]) -> tuple[dict[str, float], Any]:
        """One test utterance, for the panel."""
        return {}, example.arrays(self, data)

    def configure_optimizers(self) -> Any:
        """Adam with a learning rate that stays the same."""
        c = self.config
        return torch.optim.Adam(self.parameters(), lr=c.learning_rate, eps=c.adam_epsilon, fused=True)
