"""The Lightning module of task 3.2."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.eprop.neurons.lstm import LSTM
from repro.gated import GatedNetwork
from repro.rules.synthetic import Window
from repro.runs.module import WindowedModule
from tasks.word_prediction.config import WordPredictionConfig
from tasks.word_prediction.data import Piece, WindowBatch, WordPredictionData
from tasks.word_prediction.reading import log_probabilities, perplexity
from tasks.word_prediction.stack import StackedLSTM, State

EXAMPLE_FROM, EXAMPLE_WORDS = 1000, 25  # of the test text, for Fig. 4d; of a shorter one its end


class WordPredictionModule(WindowedModule):
    """Words as vectors, LSTM units h = o tanh(c), a softmax over all words.

    `embedding` [word, unit] and the network of a learning rule, or with algorithm=autograd a `stack` of torch's layers.
    """

    config: WordPredictionConfig

    def __init__(self, config: WordPredictionConfig, seed: int) -> None:
        super().__init__(config, seed)
        c, random = config, self.generator("weights")
        self.embedding = nn.Parameter(c.init_scale * (2 * torch.rand(c.vocabulary, c.units, generator=random) - 1))
        self.stack: StackedLSTM | None = None
        if c.algorithm == "autograd":
            self.stack = StackedLSTM(c.units, c.layers, c.vocabulary, c.forget_bias, c.init_scale, random)
        else:
            unit = LSTM(True, c.forget_bias)
            self.network = GatedNetwork(unit, c.units, c.units, c.vocabulary, c.init_scale, random)
        self._nats: Tensor | float = 0.0
        self._state: State | None = None

    def window(self, piece: Piece) -> Window:
        """A piece as Algorithm 1 wants it, its errors in nats."""
        inputs, beyond = (None if x is None else self._embedded(x).detach() for x in (piece.inputs, piece.beyond))
        assert inputs is not None
        return Window(inputs, lambda readout: _nats(readout, piece), beyond)

    def by_inputs(self, piece: Piece, gradient: Tensor) -> dict[str, Tensor]:
        """What the words' vectors hear of dE/dx [batch, step, unit]."""
        # Unlike index_add_, the same each time on CUDA too.
        heard = torch.ops.aten.embedding_dense_backward(gradient, piece.inputs, len(self.embedding), -1, False)
        return {"embedding": heard}

    def _embedded(self, words: Tensor) -> Tensor:
        return nn.functional.embedding(words, self.embedding)

    def training_step(self, batch: WindowBatch, batch_idx: int) -> dict[str, Any]:
        """A window; the last one of an epoch tells its perplexity."""
        if batch.begins:
            self._begin(batch.epoch)
        if self.stack is None:
            assert self.learning_rule is not None
            loss, error = self.learning_rule.loss(self, batch)
        else:
            loss, error = self._on_tape(self.stack, batch.this)
        self._nats = self._nats + error.detach()
        metrics: dict[str, float] = {}
        if batch.ends:
            metrics = {"loss": _exp(float(self._nats) / batch.steps), "learning_rate": self._rate(batch.epoch)}
        return {"loss": loss, "metrics": metrics}

    def _begin(self, epoch: int) -> None:
        """Epoch number `epoch`, from 0."""
        self._nats, self._state = 0.0, None
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            group["lr"] = self._rate(epoch, group["name"])

    def _rate(self, epoch: int, group: str = "network") -> float:
        c = self.config
        own = group == "synthetic gradients" and c.synthetic_learning_rate
        return (own or c.learning_rate) * c.decay_factor ** max(epoch + 1 - c.full_epochs, 0)

    def _on_tape(self, stack: StackedLSTM, piece: Piece) -> tuple[Tensor, Tensor]:
        logits, (h, c) = stack(self._embedded(piece.inputs), self._state)
        self._state = h.detach(), c.detach()
        error = _nats(logits, piece) / len(logits)
        return error, error

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent; the synthetic gradients are a group of their own."""
        return torch.optim.SGD(self.parameter_groups(), lr=self.config.learning_rate, fused=True)

    def configure_gradient_clipping(self, optimizer: Any, *limit: Any, **options: Any) -> None:
        """By the norm of all gradients together, or of all but the synthetic gradients'."""
        if self.config.clip_counts_synthetic or not self.config.clip_norm:
            self.clip_gradients(optimizer, *limit, **options)
        else:
            torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.config.clip_norm)

    def evaluate(self, done: int) -> dict[str, float]:
        """Perplexity after an epoch: of the validation text in as many streams as are trained, of the test in one."""
        trainer: Any = self.trainer
        texts, stack = trainer.datamodule.evaluated, self.as_stack()
        valid, test = (
            perplexity(self.embedding, stack, texts[split].to(self.device)) for split in ("validation", "test")
        )
        return {"valid_perplexity": valid, "test_perplexity": test}

    def as_stack(self) -> StackedLSTM:
        """The network as torch's own LSTM."""
        if self.stack is not None:
            return self.stack
        c, network = self.config, self.network
        stack = StackedLSTM(c.units, 1, c.vocabulary, c.forget_bias, 0.0, self.generator("none")).to(self.embedding)
        lstm: Any = stack.lstm
        theirs = lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, stack.w_out, stack.b_out
        ours = network.w_in, network.w_rec, network.bias, network.w_out, network.b_out
        with torch.no_grad():
            for copied, weights in zip(theirs, ours, strict=True):
                copied.copy_(weights)
        return stack

    @staticmethod
    def summary(series: Mapping[str, np.ndarray[Any, Any]], config: WordPredictionConfig) -> dict[str, float]:
        """Perplexity after the last epoch: "perplexity" is that of the test text (docs/paper_notes.md)."""
        last = {name: float(series[name][-1]) for name in ("valid_perplexity", "test_perplexity")}
        return last | {"perplexity": last["test_perplexity"], "epochs": float(len(series["loss"]))}

    def analysis(
        self, data: WordPredictionData, snapshots: Mapping[int, Mapping[str, Tensor]]
    ) -> tuple[dict[str, float], Any]:
        """A stretch of the test text, read from its beginning, and the probability of each word of it but the first."""
        read = torch.from_numpy(data.corpus.splits["test"][None, : EXAMPLE_FROM + EXAMPLE_WORDS]).long()
        found = log_probabilities(self.embedding, self.as_stack(), read.to(self.device))[0].exp()
        shown = np.array([data.corpus.words[k] for k in read[0, -EXAMPLE_WORDS:]])
        probability = found[1 - EXAMPLE_WORDS :].cpu().numpy().astype(np.float32)
        return {}, {"example_words": shown, "example_probability": probability}


def _nats(readout: Tensor, piece: Piece) -> Tensor:
    """Cross-entropy of readouts [batch, step, word], added up."""
    return nn.functional.cross_entropy(readout.flatten(end_dim=1), piece.target.flatten(), reduction="sum")


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < math.log(1e300) else math.inf
