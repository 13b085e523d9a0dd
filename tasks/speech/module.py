"""The Lightning module of task 1.3."""

from typing import Any

import torch
from torch import Tensor

from repro.eprop import ALIF, Bidirectional, Readout, RecurrentLayer, SpikingNetwork
from repro.eprop.kernels.padding import real_steps
from repro.runs.sharing import shared_count
from repro.runs.spiking_module import SpikingModule
from tasks.speech.config import SpeechConfig
from tasks.speech.data import PADDING, SpeechBatch
from tasks.speech.features import CHANNELS
from tasks.speech.lstm import BidirectionalLSTM
from tasks.speech.phones import PHONES


class SpeechModule(SpikingModule):
    """LIF and ALIF neurons (or LSTM units) that read an utterance both ways, and a readout for each phone."""

    config_type = SpeechConfig
    config: SpeechConfig

    def __init__(self, config: SpeechConfig, seed: int) -> None:
        super().__init__(config, seed)
        c, random = self.config, self.generator("weights")
        if c.model == "lstm":
            self.lstm = BidirectionalLSTM(CHANNELS, c.n_lstm, len(PHONES), random)
            return
        each = c.n_lif + c.n_alif
        neuron = ALIF(c.tau_m_ms, c.v_th, c.refractory_ms, c.dampening, c.beta, c.tau_a_ms, c.n_alif, c.dt_ms)
        layers: list[RecurrentLayer] = []
        halves: list[Tensor] = []
        for _ in range(2):  # the readout's weights are drawn with the layer that they read, as in all our records
            layers.append(RecurrentLayer(neuron, CHANNELS, each, generator=random))
            halves.append(torch.randn(len(PHONES), each, generator=random) / (2 * each) ** 0.5)
        readout = Readout(
            2 * each,
            len(PHONES),
            c.tau_out_ms,
            one_minus_kappa=c.readout_scale == "one_minus_kappa",
            bias=True,
            frame_steps=c.frame_steps if c.readout_every == "frame" else 1,
            dt_ms=c.dt_ms,
            generator=random,
        )
        with torch.no_grad():
            readout.w_out.copy_(torch.cat(halves, dim=1))
        self.network = SpikingNetwork(Bidirectional(*layers), readout)

    def loss_of(self, readout: Tensor, batch: SpeechBatch, first_step: int = 0) -> Tensor:
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
    def predicted(readout: Tensor, batch: SpeechBatch) -> Tensor:
        """The phone of the highest mean readout in each frame, [batch, frame]."""
        return readout.unflatten(1, (batch.labels.shape[1], -1)).mean(dim=2).argmax(dim=-1)

    def metrics(self, readout: Tensor, batch: SpeechBatch) -> dict[str, Tensor]:
        """Frame accuracy."""
        right, frames = self.right_frames(readout, batch)
        return {"accuracy": right / shared_count(frames).to(right)}

    def read(self, batch: SpeechBatch) -> Tensor:
        """The readout [batch, time or frame, phone] of a batch."""
        if self.config.model == "lstm":
            return self.lstm(batch.inputs.frames, batch.lengths // batch.inputs.steps_each)
        readout: Tensor = self.network(batch.inputs, lengths=batch.lengths)[0]
        return readout

    def training_step(self, batch: SpeechBatch, batch_idx: int) -> dict[str, Any]:
        """One batch; LSTM units have no firing rate and no spikes, and learn by autograd."""
        if self.config.model == "lsnn":
            return super().training_step(batch, batch_idx)
        readout = self.read(batch)
        loss = self.loss_of(readout, batch)
        metrics = {"loss": loss.detach()} | self.metrics(readout.detach(), batch)
        return {"loss": loss, "metrics": self.log_shared(metrics, len(readout))}

    def validation_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        """Frame accuracy on a batch of validation utterances, weighted by their frames."""
        return self._evaluated("validation_accuracy", batch)

    def test_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        """Frame accuracy on a batch of test utterances, weighted by their frames."""
        return self._evaluated("test_accuracy", batch)

    def predict_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        """The phone of each frame [batch, frame]; -1 in the padding."""
        return self.predicted(self.read(batch), batch).masked_fill(batch.labels == PADDING, PADDING)

    def _evaluated(self, name: str, batch: SpeechBatch) -> Tensor:
        right, frames = self.right_frames(self.read(batch), batch)
        self.log(name, right / frames, batch_size=int(frames), on_epoch=True, on_step=False, sync_dist=True)
        return right / frames

    def right_frames(self, readout: Tensor, batch: SpeechBatch) -> tuple[Tensor, Tensor]:
        """How many frames are predicted right, and how many there are."""
        real = real_steps(batch.lengths // batch.inputs.steps_each, batch.labels.shape[1])
        return ((self.predicted(readout, batch) == batch.labels) & real).sum().float(), real.sum().float()

    def configure_optimizers(self) -> Any:
        """Adam with a learning rate that stays the same."""
        return self.adam(eps=self.config.adam_epsilon)
