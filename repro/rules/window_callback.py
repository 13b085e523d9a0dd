"""A rule on truncation windows as a Lightning callback: a batch is a window, and what goes on across windows is kept.

module.training_step -> callback.loss -> Algorithm 1 on the window -> gradients of the network, of the synthetic
gradients and of what makes the inputs, all attached to the loss -> Lightning's own backward
"""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from repro.eprop.kernels.cuda_graph import Replayed
from repro.eprop.neurons.lstm import LSTMState
from repro.errors import UserError
from repro.rules import windows
from repro.rules.attach import attach
from repro.rules.synthetic import Algorithm, Learned, SyntheticGradient, learn
from repro.rules.windows import WindowRule
from repro.runs.rule_settings import WindowSettings


class WindowRuleCallback(pl.Callback):
    """Replaces the backward pass of a module that has `network` (a GatedNetwork), `generator(purpose)`, `window(piece)`
    and `by_inputs(piece, gradient)`, the gradients by name of what its inputs are made from.

    A batch has two pieces of sequences, `this` and `following` (None at the sequences' end), and `begins`: whether it
    is their first window, for which state and vectors are reset. Both are in no checkpoint: these are made where
    sequences end, and all begins anew. On CUDA what is computed of a window is recorded once and replayed.
    """

    def __init__(self, settings: WindowSettings) -> None:
        self.settings = settings
        self.rule = WindowRule(settings.vectors, settings.recurrence, settings.synthetic)
        self.algorithm = Algorithm(
            settings.synthetic_factor,
            settings.synthetic_into_network,
            settings.synthetic_error == "mean",
            settings.boundary_at_input == "whole",
        )
        self._state: LSTMState | None = None
        self._vectors: Tensor | None = None
        self._replayed: Replayed | None = None

    @property
    def identity(self) -> str:
        """What must be the same when a run is resumed."""
        return f"{self.rule!r} {self.settings.truncation_steps} {self.algorithm!r}"

    def setup(self, trainer: Any, pl_module: pl.LightningModule, stage: str) -> None:
        """Claim the module, and give it the synthetic gradients' parameters before there is an optimizer.

        Raises UserError if the Trainer holds two rules."""
        if sum(isinstance(callback, WindowRuleCallback) for callback in trainer.callbacks) > 1:
            raise UserError("two learning rules on one module: give the Trainer one WindowRuleCallback")
        module: Any = pl_module
        module.learning_rule, self._state, self._vectors, self._replayed = self, None, None, None
        predictor = None
        if self.rule.synthetic:
            random = module.generator("synthetic gradients")
            predictor = SyntheticGradient(module.network.n, self.settings.synthetic_hidden, random)
            predictor = predictor.to(module.network.w_in)
        module.predictor = predictor

    def loss(self, module: Any, batch: Any) -> tuple[Tensor, Tensor]:
        """The loss of a window with all gradients attached, and the mean error of a sequence in it."""
        if batch.begins or self._state is None:
            self._begin(module.network, len(batch.this.inputs))
        of_window = self._of_window(module)
        learned, by_inputs = of_window(batch.this, batch.following, self._state)
        self._state = learned.after
        named = {f"network.{name}": gradient for name, gradient in learned.network.items()}
        named |= {f"predictor.{name}": gradient for name, gradient in learned.predictor.items()}
        return attach(learned.error + learned.prediction_error, module, named | by_inputs), learned.error

    def _of_window(self, module: Any) -> Callable[..., tuple[Learned, dict[str, Tensor]]]:
        """What computes a window: pieces and state -> what it taught, the network's inputs apart."""

        def compute(this: Any, following: Any, state: LSTMState) -> tuple[Learned, dict[str, Tensor]]:
            window, later = module.window(this), None if following is None else module.window(following)
            learned = learn(
                module.network, module.predictor, self.rule, window, later, state, self._vectors, self.algorithm
            )
            return learned, module.by_inputs(this, learned.by_input)

        if module.network.w_in.device.type != "cuda":
            return compute
        self._replayed = self._replayed or Replayed(compute)
        return self._replayed

    def _begin(self, network: Any, size: int) -> None:
        if self.rule.vectors == "carried":
            if self._vectors is None or self._vectors.shape[1] != size:
                self._vectors, self._replayed = windows.no_vectors(network, size), None
            self._vectors.zero_()
        self._state = network.neuron.initial_state(size, network.n, network.w_in.detach())
