"""A rule on truncation windows as a Lightning callback: a batch is a window, and what goes on across windows is kept.

module.training_step -> callback.loss -> Algorithm 1 on the window -> gradients attached to the loss -> Lightning's own
backward, which also trains the synthetic gradients on their tape
"""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.errors import RunFailed, UserError
from repro.neurons.lstm import LSTMState
from repro.rules import windows
from repro.rules.attach import attach
from repro.rules.settings import WindowSettings
from repro.rules.synthetic import SyntheticGradient, Window, learn
from repro.rules.windows import WindowRule


class WindowRuleCallback(pl.Callback):
    """Replaces the backward pass of a module that has `network` (a GatedNetwork) and `generator(purpose)`.

    A batch has `begins` (whether it is the first window of its sequences: state and vectors are reset) and
    `windows(module)`, the window to learn and the next one, or None at the sequences' end. State and vectors are in no
    checkpoint: these are made where sequences end, and both begin anew.
    """

    def __init__(self, settings: WindowSettings) -> None:
        self.settings = settings
        self.rule = WindowRule(settings.vectors, settings.recurrence, settings.synthetic)
        self._state: LSTMState | None = None
        self._vectors: Tensor | None = None

    @property
    def identity(self) -> str:
        """What must be the same when a run is resumed."""
        s = self.settings
        return f"{self.rule!r} {s.truncation_steps} {s.synthetic_factor} {s.synthetic_into_network}"

    def setup(self, trainer: Any, pl_module: pl.LightningModule, stage: str) -> None:
        """Claim the module, and give it the synthetic gradients' parameters before there is an optimizer.

        Raises UserError if the Trainer holds two rules."""
        if sum(isinstance(callback, WindowRuleCallback) for callback in trainer.callbacks) > 1:
            raise UserError("two learning rules on one module: give the Trainer one WindowRuleCallback")
        module: Any = pl_module
        module.learning_rule, self._state, self._vectors = self, None, None
        predictor = None
        if self.rule.synthetic:
            random = module.generator("synthetic gradients")
            predictor = SyntheticGradient(module.network.n, self.settings.synthetic_hidden, random)
            predictor = predictor.to(module.network.w_in)
        module.predictor = predictor

    def loss(self, module: Any, batch: Any) -> tuple[Tensor, Tensor]:
        """The loss of a window with all gradients attached, and the mean error of a sequence in it."""
        network, s = module.network, self.settings
        window, following = batch.windows(module)
        state = self._begin(network, window) if batch.begins or self._state is None else self._state
        learned = learn(
            network,
            module.predictor,
            self.rule,
            window,
            following,
            state,
            self._vectors,
            s.synthetic_factor,
            s.synthetic_into_network,
        )
        if not torch.isfinite(learned.after.c).all():
            raise RunFailed("cell states are no longer finite: try a lower learning_rate")
        self._state = learned.after
        return attach(learned.error + learned.prediction_loss, network, learned.gradients), learned.error

    def _begin(self, network: Any, window: Window) -> LSTMState:
        size = len(window.inputs)
        if self.rule.vectors == "carried":
            if self._vectors is None or self._vectors.shape[1] != size:
                self._vectors = windows.no_vectors(network, size)
            self._vectors.zero_()
        start: LSTMState = network.neuron.initial_state(size, network.n, network.w_in.detach())
        return start
