"""The learning rule as a Lightning callback; the only module of the library that imports Lightning."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pytorch_lightning as pl
from torch import nn

from repro.eprop.errors import UsageError, shown
from repro.eprop.rules.rule import EProp, Rule
from repro.eprop.rules.signals import Feedback, feedback_of


@runtime_checkable
class LearnsByRule(Protocol):
    """A layer whose backward pass is its `rule`; `backward_passes` counts how often that delivered gradients."""

    rule: Rule
    backward_passes: int


@runtime_checkable
class SendsFeedback(Protocol):
    """A readout whose backward pass sends the error to the neurons through its `feedback`."""

    feedback: Any

    def seed_feedback(self, seed: int) -> None:
        """Set the seed of random feedback."""


class _Layers(NamedTuple):
    rules: dict[str, Any]  # layers that learn by a rule, and readouts, by name
    readouts: dict[str, Any]


class EPropCallback(pl.Callback):
    """Gives every layer that learns by a rule the same `rule`, and every readout the same `feedback`, in a fit.

    The defaults are e-prop 1: `EProp()` and random feedback. `feedback=None` leaves the readouts alone, as is right
    where a module has readouts of another kind (their gradient is then the true one). `seed` sets the seed of random
    feedback; else each readout keeps its seed.

    All layers get the rule, whatever was set before, and keep it and the feedback after the fit: a checkpoint saved
    then is the same as one saved during it. To freeze a layer, use `requires_grad_(False)`. To give layers different
    rules, set them in the module's `__init__` and leave the callback out; a module that was never given a rule trains
    by BPTT.

    Raises UsageError where the module has no layer that learns by a rule, or no Readout for a feedback; where the
    Trainer has two such callbacks; where a checkpoint was trained by another rule; and where the weights received
    gradients and the layer itself was never called.
    """

    def __init__(
        self, rule: Rule | None = None, feedback: Feedback | str | None = "random", seed: int | None = None
    ) -> None:
        self.rule = EProp() if rule is None else rule
        if not isinstance(self.rule, Rule):
            raise UsageError(f"rule={shown(rule)}: a rule is an object such as EProp(), BPTT() or Frozen()")
        self.feedback = None if feedback is None else feedback_of(feedback)
        self.seed = seed
        self._not_trained: list[nn.Parameter] = []
        self._passes: dict[str, int] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the layers the rule and the feedback. Raises UsageError (see above)."""
        if stage != "fit":
            return
        if sum(isinstance(callback, EPropCallback) for callback in getattr(trainer, "callbacks", [])) > 1:
            raise UsageError("the Trainer has two learning rules: give it one EPropCallback")
        layers = _layers(pl_module)
        if layers.rules or not _makes_layers_later(pl_module):
            self._check(pl_module, layers)
        self._set(layers)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give rule and feedback to what `configure_model` has made, or, where the fit resumes a checkpoint, check that
        it has brought no others. Raises UsageError if it has."""
        layers = _layers(pl_module)
        self._check(pl_module, layers)
        if trainer.ckpt_path is None:
            self._set(layers)
            for callback in getattr(trainer, "callbacks", []):
                average = getattr(callback, "_average_model", None)  # of WeightAveraging: a copy, which is saved
                if isinstance(average, nn.Module):
                    self._set(_layers(average))
        here = {"rule": (layers.rules, self.rule), "feedback": (layers.readouts, self.feedback)}
        for what, (found, wanted) in here.items():
            for name, layer in found.items():
                trained = getattr(layer, what)
                if wanted is not None and trained != wanted:
                    raise UsageError(
                        f"the checkpoint of {name} was trained with the {what} {trained}, this fit has {wanted}: "
                        f"resume it with its {what}, or train from the start"
                    )
        self._passes = {name: layer.backward_passes for name, layer in layers.rules.items()}

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check once that all gradients came from the rule. Raises UsageError if they did not."""
        passes, self._passes = self._passes, {}
        for name, layer in _layers(pl_module).rules.items() if passes else ():
            received = any(p.grad is not None for p in layer.parameters(recurse=False))
            if received and layer.backward_passes == passes[name]:
                raise UsageError(
                    f"the weights of {name} received a gradient that did not come from its rule: "
                    "call the layer itself, not its parts"
                )

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let the weights that `Frozen()` kept out of the fit require gradients again."""
        while self._not_trained:
            self._not_trained.pop().requires_grad_(True)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """As `teardown`, which an interrupted fit may leave out."""
        self.teardown(trainer, pl_module, "fit")

    def _set(self, layers: _Layers) -> None:
        for layer in layers.rules.values():
            layer.rule = self.rule
            for parameter in () if self.rule.plastic else layer.parameters(recurse=False):
                if parameter.requires_grad:  # DDP waits for no gradient of what does not require one
                    self._not_trained.append(parameter.requires_grad_(False))
        for readout in () if self.feedback is None else layers.readouts.values():
            readout.feedback = self.feedback
            if self.seed is not None:
                readout.seed_feedback(self.seed)

    def _check(self, module: nn.Module, layers: _Layers) -> None:
        name = type(module).__name__
        if not layers.rules:
            raise UsageError(
                f"{name} has no layer that learns by a rule: build it of RecurrentLayer, SpikingNetwork or LSTMLayer, "
                "or leave the EPropCallback out"
            )
        if self.feedback is not None and not layers.readouts:
            raise UsageError(
                f"{name} has no Readout for feedback={self.feedback.kind!r}: read its layers out with a Readout, "
                "or pass feedback=None to keep the true gradients of its readout"
            )


def _layers(module: nn.Module) -> _Layers:
    return _Layers(
        dict(_of(module, LearnsByRule, "backward_passes")), dict(_of(module, SendsFeedback, "seed_feedback"))
    )


def _of(module: nn.Module, protocol: type, mark: str) -> Iterator[tuple[str, Any]]:
    """The submodules that fit a protocol, each once, by name. What holds such modules has their rule, but no `mark`."""
    for name, submodule in module.named_modules():
        if submodule is not module and hasattr(submodule, mark) and isinstance(submodule, protocol):
            yield name, submodule


def _makes_layers_later(module: pl.LightningModule) -> bool:
    return type(module).configure_model is not pl.LightningModule.configure_model
