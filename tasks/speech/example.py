"""The example of panel 2c: one test utterance, and the trained network's response."""

from typing import Any

import numpy as np
import torch

from tasks.speech.corpus import RATE, read_audio
from tasks.speech.data import SpeechBatch, batch_of, corpus
from tasks.speech.features import HOP, N_FFT, WINDOW

SHOWN_S = 2.0  # the utterance of about this length that the panel has room for
OF_EACH = 10  # neurons shown of each kind and direction; weights are random, so the first ones are a random choice
MELS = 40


def arrays(module: Any, data: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Of one test utterance: its log-mel spectrogram [mel, frame], true and predicted phones [frame], and spikes
    [neuron, step], LIF and ALIF neurons of the forward layer, then of the backward layer (none of an LSTM)."""
    split = data.splits["test"]
    index = min(range(len(split.labels)), key=lambda i: abs(len(split.labels[i]) * HOP / RATE - SHOWN_S))
    batch = batch_of(split, [index], module.config.frame_steps)
    with torch.no_grad():
        here = module.transfer_batch_to_device(batch, module.device, 0)
        predicted = module.predicted(module.read(here), here)[0]
    shown = {
        "example_spectrogram": _spectrogram(module.config, split.names[index], len(predicted)),
        "example_labels": batch.labels[0].numpy().astype(np.int8),
        "example_predicted": predicted.cpu().numpy().astype(np.int8),
    }
    return shown if module.config.model == "lstm" else shown | {"example_spikes": _spikes(module, here)}


def _spikes(module: Any, batch: SpeechBatch) -> np.ndarray[Any, Any]:
    c, shown = module.config, []
    with torch.no_grad():
        z = module.network.layer(batch.inputs, batch.lengths)[0].T.cpu().numpy().astype(np.uint8)
    for spikes in np.split(z, 2):
        shown += [spikes[: min(OF_EACH, c.n_lif)], spikes[c.n_lif :][:OF_EACH]]
    return np.concatenate(shown)


def _spectrogram(config: Any, name: str, frames: int) -> np.ndarray[Any, Any]:
    """Log power in 40 mel bands; in dB below the utterance's loudest, no further than 70."""
    import torchaudio

    (utterance,) = (u for u in corpus(config).splits["test"] if u.name == name)
    mel = torchaudio.transforms.MelSpectrogram(RATE, N_FFT, WINDOW, HOP, n_mels=MELS)
    power = mel(torch.from_numpy(read_audio(utterance.audio)))[:, :frames]
    decibel = 10 * torch.log10(power.clamp_min(1e-12) / power.max())
    return decibel.clamp_min(-70).numpy().astype(np.float16)
