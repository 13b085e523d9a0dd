"""The Lightning module of task 2.1: the outer loop of e-prop 2, on autograd's tape."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.eprop.neurons.lif import LIF
from repro.eprop.rules.rate import RateTerm
from repro.errors import RunFailed
from repro.network import RecurrentNetwork
from repro.readout import Readout
from repro.rules import error_module
from repro.rules.error_module import ErrorModule, Heard, LinearErrorModule, SpikingErrorModule, Taught, Trial, Weights
from repro.runs.module import WATCHED, SpikingModule
from tasks.arm_reaching import example
from tasks.arm_reaching.arm import integrate, tip
from tasks.arm_reaching.config import ArmReachingConfig
from tasks.arm_reaching.data import Batch
from tasks.arm_reaching.encoding import n_features

FINAL = 100  # the last iterations, over which a run's own series are averaged


class Lesson(NamedTuple):
    """A batch of tasks, each learned in one shot: both trials, and what the error module did in each of them. Without
    an inner update the two trials are one, and there is no module."""

    training: Trial
    test: Trial
    taught: Taught | None
    taught_again: Taught | None


class ArmReachingModule(SpikingModule):
    """A network whose two readouts are the velocities of an arm's joints (rad/s), and the error module that teaches
    it."""

    config: ArmReachingConfig

    def __init__(self, config: ArmReachingConfig, seed: int) -> None:
        super().__init__(config, seed)
        c = config
        readout = Readout(c.tau_out_ms, c.readout_scale == "one_minus_kappa", c.dt_ms)
        self.network = RecurrentNetwork(self._neuron(), readout, c.n_in, c.n_rec, 2, self.generator("weights"))
        self.module_rate = RateTerm(c.rate_loss, c.rate_cost, c.module_rate_hz, c.dt_ms)
        self.error_module = self._error_module() if c.inner_update else None

    def _neuron(self) -> LIF:
        c = self.config
        return LIF(c.tau_m_ms, c.v_th, c.refractory_ms, c.dampening, c.dt_ms)

    def _error_module(self) -> ErrorModule:
        c, random = self.config, self.generator("error module")
        features = n_features(c.target_input, c.target_neurons)
        decay = math.exp(-c.dt_ms / c.tau_signal_ms)
        if c.error_module == "linear":
            return LinearErrorModule(c.n_in, features, c.n_rec, decay, random)
        heard = c.n_in + c.n_rec + features
        return SpikingErrorModule(self._neuron(), heard, c.n_module, c.n_rec, decay, random)

    def lesson(self, batch: Batch, again: bool) -> Lesson:
        """Both trials of a batch of tasks, on the tape; `again` lets the error module listen to the test trial too."""
        c = self.config
        if self.error_module is None:
            assert self.network.w_rec is not None
            weights = Weights(self.network.w_in, error_module.without_autapses(self.network.w_rec))
            trial = error_module.run(self.network, weights, batch.inputs)
            return Lesson(trial, trial, None, None)
        done = error_module.one_shot(
            self.network, self.error_module, batch.inputs, batch.shown, c.inner_learning_rate, c.trace
        )
        heard = Heard(batch.inputs, done.test.activity, batch.shown_again)
        return Lesson(done.training, done.test, done.taught, self.error_module(heard) if again else None)

    def objective(self, readout: Tensor, batch: Batch, first_step: int = 0) -> Tensor:
        """Eq. 61 without its rate term, of velocities [batch, time, joint] in rad/s of whole trials: a sum over time
        and coordinates and a mean over tasks, or a mean over all of them."""
        assert first_step == 0, "where the tip is depends on the whole past"
        reached, motor = self.squared_errors(readout, batch)
        squared = reached + self.config.motor_weight * motor
        return squared.mean() if self.config.task_loss == "mean" else squared.sum(dim=(1, 2)).mean()

    def squared_errors(self, readout: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(y - y*)^2 [batch, time, (x, y)] of the tip, and of the velocities [batch, time, joint] in (rad/s)^2."""
        reached = tip(integrate(readout, self.config.dt_ms))
        target = batch.movements
        return (reached - target.positions).square(), (readout - target.velocities).square()

    def metrics(self, readout: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The mean squared error of the tip (over time, x and y), and that of the velocities in (rad/s)^2."""
        reached, motor = self.squared_errors(readout, batch)
        return {"test_mse": reached.mean(), "motor_mse": motor.mean()}

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """A batch of tasks learned in one shot each, and the outer loss of their test trials (Eq. 61)."""
        both = self.config.rate_trials == "both"
        lesson = self.lesson(batch, again=both)
        network, module = self.rates(lesson, both)
        loss = self.objective(lesson.test.readout, batch) + self.rate.loss(network)
        with torch.no_grad():
            metrics = self.metrics(lesson.test.readout, batch) | {"rate_hz": network.mean()}
            metrics["training_mse"] = self.metrics(lesson.training.readout, batch)["test_mse"]
        if module is not None:
            loss = loss + self.module_rate.loss(module)
            metrics["module_rate_hz"] = module.detach().mean()
        return {
            "loss": loss,
            "metrics": {"loss": loss.detach()} | metrics,
            "readout": lesson.test.readout.detach(),
            "spikes": lesson.test.activity.z.detach()[:, :, :WATCHED],
        }

    def rates(self, lesson: Lesson, both: bool) -> tuple[Tensor, Tensor | None]:
        """Mean rates [neuron] in Hz of the network and of the error module (None without spikes), over the training
        trial or both."""
        trials, taught = [lesson.training.activity.z], [lesson.taught.spikes] if lesson.taught else []
        if both:
            trials.append(lesson.test.activity.z)
            taught += [lesson.taught_again.spikes] if lesson.taught_again else []
        network = torch.stack([self.rate.rates_hz(z) for z in trials]).mean(dim=0)
        if not taught or not taught[0].shape[2]:
            return network, None
        return network, torch.stack([self.rate.rates_hz(z) for z in taught]).mean(dim=0)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Raises RunFailed for a gradient that is not finite: Adam would keep it for ever."""
        for name, parameter in self.named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                raise RunFailed(f"the gradient of {name} is no longer finite: try a lower learning_rate or a clip_norm")

    @staticmethod
    def summary(series: Mapping[str, np.ndarray[Any, Any]], config: ArmReachingConfig) -> dict[str, float]:
        """What training itself ended with, as means over its last iterations."""
        return {f"last_{name}": float(np.mean(series[name][-FINAL:])) for name in ("test_mse", "training_mse")}

    def analysis(self, data: Any, snapshots: Mapping[int, Mapping[str, Tensor]]) -> tuple[dict[str, float], Any]:
        """The final numbers, from movements that training has not seen, and what panels 3c and 3d draw."""
        return example.measured(self), example.arrays(self)
