"""The Lightning module of task 3.2."""

from typing import Any

import torch
from torch import Tensor, nn

from repro.eprop.neurons.lstm import LSTM
from repro.eprop.rules.synthetic import Window
from repro.runs.lstm_network import LSTMNetwork
from repro.runs.windowed_module import WindowedModule
from tasks.word_prediction.clipping import clip
from tasks.word_prediction.config import WordPredictionConfig
from tasks.word_prediction.cross_entropy import cross_entropy
from tasks.word_prediction.data import WordSegment, WordWindow
from tasks.word_prediction.evaluation import perplexity, perplexity_of
from tasks.word_prediction.torch_lstm import StackedLSTM, State


class WordPredictionModule(WindowedModule):
    """Words as vectors, LSTM units h = o tanh(c), a softmax over all words.

    `embedding` [word, unit] and a `network` that learns in windows; or, with algorithm=autograd, a `stack` of torch's
    layers, which has no learning rule.
    """

    config_type = WordPredictionConfig
    config: WordPredictionConfig

    def __init__(self, config: WordPredictionConfig, seed: int) -> None:
        super().__init__(config, seed)
        c, random = self.config, self.generator("weights")
        self.embedding = nn.Parameter(c.init_scale * (2 * torch.rand(c.vocabulary, c.units, generator=random) - 1))
        self.stack: StackedLSTM | None = None
        if c.algorithm == "autograd":
            self.stack = StackedLSTM(c.units, c.layers, c.vocabulary, c.forget_bias, c.init_scale, random)
        else:
            unit = LSTM(True, c.forget_bias)
            self.build(LSTMNetwork(unit, c.units, c.units, c.vocabulary, c.init_scale, random))
        self._nats: Tensor | float = 0.0  # of the epoch so far, per stream
        self._stack_state: State | None = None

    def window(self, segment: WordSegment) -> Window:
        """See `WindowedModule.window`."""
        after = None if segment.next_input is None else self._embedded(segment.next_input).detach()
        return Window(self._embedded(segment.inputs), segment.target, after)

    def error_of(self, readout: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of logits [batch, step, word] in nats, added up over steps and streams."""
        return cross_entropy(readout.transpose(0, 1).flatten(end_dim=1), target.T.flatten())  # steps first, as they lie

    def _embedded(self, words: Tensor) -> Tensor:
        """The words' vectors; their gradient has the rows of these words alone, unless processes have to share it."""
        alone = self._trainer is None or self._trainer.world_size == 1
        return nn.functional.embedding(words, self.embedding, sparse=alone)

    def training_step(self, batch: WordWindow, batch_idx: int) -> dict[str, Any]:
        """One window; the last one of an epoch has the perplexity of the epoch."""
        if batch.begins:
            self._begin(batch.epoch)
        if self.stack is None:
            loss, _, error, _ = self.window_loss(batch)
        else:
            loss = error = self._stack_loss(self.stack, batch.this)
        self._nats = self._nats + error.detach()
        metrics: dict[str, float] = {}
        if batch.ends:
            nats = float(self._nats) / batch.steps
            metrics = {"loss": perplexity_of(nats), "learning_rate": self._rate(batch.epoch)}
            self.log_dict(metrics, batch_size=len(batch.this.inputs))
        return {"loss": loss, "metrics": metrics}

    def _begin(self, epoch: int) -> None:
        """Begin epoch number `epoch`, from 0."""
        self._nats, self._stack_state = 0.0, None
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            group["lr"] = self._rate(epoch, group["name"])

    def _rate(self, epoch: int, group: str = "network") -> float:
        c = self.config
        rate = c.learning_rate
        if group == "synthetic gradients" and c.synthetic_learning_rate:
            rate = c.synthetic_learning_rate
        return rate * c.decay_factor ** max(epoch + 1 - c.full_epochs, 0)

    def _stack_loss(self, stack: StackedLSTM, segment: WordSegment) -> Tensor:
        logits, (h, c) = stack(self._embedded(segment.inputs), self._stack_state)
        self._stack_state = h.detach(), c.detach()
        return self.error_of(logits, segment.target) / len(logits)

    def validation_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """The perplexity of streams [stream, word] of the validation text."""
        return self._evaluated("valid_perplexity", batch)

    def test_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """The perplexity of streams [stream, word] of the test text."""
        return self._evaluated("test_perplexity", batch)

    def _evaluated(self, name: str, streams: Tensor) -> Tensor:
        value = torch.tensor(perplexity(self.embedding, self.as_stack(), streams))
        self.log(name, value, batch_size=streams.numel())
        return value

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent; the synthetic gradients are a second group."""
        return torch.optim.SGD(self.parameter_groups(), lr=self.config.learning_rate)

    def configure_gradient_clipping(self, optimizer: Any, *limit: Any, **options: Any) -> None:
        """By the norm of all gradients together, or of all but the synthetic gradients'."""
        if norm := self.config.clip_norm:
            groups = optimizer.param_groups[: None if self.config.clip_counts_synthetic else 1]
            clip([parameter for group in groups for parameter in group["params"]], norm)

    def as_stack(self) -> StackedLSTM:
        """The network as torch's own LSTM."""
        if self.stack is not None:
            return self.stack
        c, layer, readout = self.config, self.network.layer, self.network.readout
        stack = StackedLSTM(c.units, 1, c.vocabulary, c.forget_bias, 0.0, self.generator("none")).to(self.embedding)
        lstm: Any = stack.lstm
        theirs = lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, stack.w_out, stack.b_out
        with torch.no_grad():
            for copied, weights in zip(theirs, (*layer.weights, readout.w_out, readout.b_out), strict=True):
                copied.copy_(weights)
        return stack
