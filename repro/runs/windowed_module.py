"""Tasks in which an LSTM network learns in truncation windows."""

import abc
from typing import Any

import torch
from torch import Tensor

from repro.eprop.layers.algorithm_1 import Algorithm1Loss, WindowLoss
from repro.eprop.layers.eligibility_vectors import EligibilityVectors
from repro.eprop.neurons.lstm import LSTMState
from repro.eprop.rules.synthetic import Algorithm1Options, SyntheticGradient, Window
from repro.eprop.rules.windows import no_eligibility_vectors
from repro.runs.lstm_network import LSTMNetwork
from repro.runs.rule_settings import WindowSettings
from repro.runs.task_module import TaskModule


class WindowedModule(TaskModule, abc.ABC):
    """An LSTM `network` that learns by Algorithm 1, one window of its sequences a batch.

    Its layer learns by BPTT inside a window, or by the rule that an EPropCallback gives it. A batch has two segments of
    sequences, `this` and `following` (None at their end), each with `inputs` [batch, step, ...]; and `begins`, which is
    true in the first window of sequences: state and eligibility vectors are reset there. Both are in no checkpoint,
    since checkpoints are made where sequences end. A subclass calls `build` once, and defines `window` and `error_of`.
    """

    config: WindowSettings
    network: LSTMNetwork

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__(config, seed)
        self.predictor: SyntheticGradient | None = None
        self._state: LSTMState | None = None
        self._vectors: EligibilityVectors | None = None

    def build(self, network: LSTMNetwork) -> None:
        """Take the network, and make what predicts the gradient of later windows if the config asks for it."""
        c, self.network = self.config, network
        if c.synthetic:
            random = self.generator("synthetic gradients")
            self.predictor = SyntheticGradient(network.layer.n, c.synthetic_hidden, random)
        options = Algorithm1Options(
            factor=c.synthetic_factor,
            into_network=c.synthetic_into_network,
            mean_over_units=c.synthetic_error == "mean",
            whole_at_input=c.boundary_at_input == "whole",
        )
        readout = network.readout.parameters()
        self._algorithm = Algorithm1Loss(network.layer, self.errors, readout, self.predictor, options)

    @abc.abstractmethod
    def window(self, segment: Any) -> Window:
        """A segment as Algorithm 1 reads it; its `target` is what `error_of` receives."""

    @abc.abstractmethod
    def error_of(self, readout: Tensor, target: Any) -> Tensor:
        """The error of readouts [batch, step, readout], added up over sequences and steps."""

    def errors(self, h: Tensor, target: Any) -> Tensor:
        """The same of outputs h [batch, step, unit]."""
        return self.error_of(self.network.readout(h), target)

    def window_loss(self, batch: Any) -> WindowLoss:
        """The loss of a window, from the state in which the one before it ended."""
        if batch.begins or self._state is None:
            self._state = None
            self._reset_vectors(len(batch.this.inputs))
        following = None
        if self.predictor is not None and batch.following is not None:
            with torch.no_grad():
                following = self.window(batch.following)
        result = self._algorithm(self.window(batch.this), following, self._state, self._vectors)
        self._state = result.state
        return result

    def _reset_vectors(self, batch: int) -> None:
        """Zeros, in the same memory where it fits: a recorded CUDA graph advances the vectors where they are."""
        layer = self.network.layer
        if layer.rule.window_rule().vectors != "carried":
            self._vectors = None
            return
        like = no_eligibility_vectors(layer.weights, 0)
        if self._vectors is None or not self._vectors.fits(like, batch):
            self._vectors = layer.eligibility_vectors(batch)
        self._vectors.reset()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For an optimizer: "network" is all but the "synthetic gradients", a second group if there are any.

        Matrices come before biases, which fixes the order in which a norm over all gradients is summed.
        """
        predictor = [] if self.predictor is None else list(self.predictor.parameters())
        network = [p for name, p in self.named_parameters() if not name.startswith("predictor.")]
        network.sort(key=lambda parameter: -parameter.dim())
        groups = [{"params": network, "name": "network"}]
        return [*groups, {"params": predictor, "name": "synthetic gradients"}] if predictor else groups
