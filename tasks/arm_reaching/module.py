"""The Lightning module of task 2.1: the outer loop of e-prop 2, on autograd's tape."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.layers.differentiable import DifferentiableLayer
from repro.eprop.layers.error_module import ErrorModule, LinearErrorModule, SpikingErrorModule, one_shot
from repro.eprop.layers.readout import Readout
from repro.eprop.neurons.lif import LIF
from repro.eprop.rules.one_shot import ErrorModuleInput, ErrorModuleOutput, Trial, run_trial
from repro.eprop.rules.rate import RateTerm, firing_rates
from repro.errors import RunFailed
from repro.runs.task_module import TaskModule
from tasks.arm_reaching.arm import integrate, tip
from tasks.arm_reaching.config import ArmReachingConfig
from tasks.arm_reaching.data import ArmBatch
from tasks.arm_reaching.encoding import n_features


class InnerLoop(NamedTuple):
    """A batch of tasks, each learned in one shot: both trials, and the error module's output in each of them. The
    training trial is the same in all tasks, and of batch 1. Without an inner update it is the test trial too, and there
    is no error module."""

    training: Trial
    test: Trial
    training_output: ErrorModuleOutput | None
    test_output: ErrorModuleOutput | None


class ArmNetwork(nn.Module):
    """The `layer` that learns, and a `readout` of the joints' velocities, whose weights stay as they are within a
    task."""

    def __init__(self, layer: DifferentiableLayer, readout: Readout) -> None:
        super().__init__()
        self.layer, self.readout = layer, readout


class ArmReachingModule(TaskModule):
    """A network whose two readouts are the velocities of an arm's joints (rad/s), and the error module from which it
    receives its learning signals."""

    config_type = ArmReachingConfig
    config: ArmReachingConfig

    def __init__(self, config: ArmReachingConfig, seed: int) -> None:
        super().__init__(config, seed)
        c, random = self.config, self.generator("weights")
        scaled = c.readout_scale == "one_minus_kappa"
        self.network = ArmNetwork(
            DifferentiableLayer(self._neuron(), c.n_in, c.n_rec, generator=random),
            Readout(c.n_rec, 2, c.tau_out_ms, one_minus_kappa=scaled, dt_ms=c.dt_ms, generator=random),
        )
        self.rate = RateTerm(c.rate_loss, c.rate_cost, c.target_rate_hz, c.dt_ms)
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
            return LinearErrorModule(c.n_in, c.n_rec, features, decay=decay, generator=random)
        sizes = c.n_in, c.n_rec, features, c.n_module
        return SpikingErrorModule(self._neuron(), *sizes, decay=decay, generator=random)

    def inner_loop(self, batch: ArmBatch, test_output: bool, test_signal: bool = True) -> InnerLoop:
        """Both trials of a batch of tasks, on the tape; with `test_output` the error module receives the test trial
        too. Its signal in that trial, which teaches nothing, has no elements without `test_signal`."""
        c, network = self.config, self.network
        if self.error_module is None:
            trial = run_trial(network.layer, network.readout, batch.inputs)
            return InnerLoop(trial, trial, None, None)
        arguments = network.layer, network.readout, self.error_module, batch.inputs, batch.target_input
        result = one_shot(*arguments, c.inner_learning_rate, c.trace)
        received = ErrorModuleInput(batch.inputs, result.test.trajectory, batch.test_target_input)
        output = None
        if test_output and test_signal:
            output = self.error_module(received)
        elif test_output:
            zeta = self.error_module.zeta(received)
            output = ErrorModuleOutput(zeta.new_empty(0), zeta)
        return InnerLoop(result.training, result.test, result.module_output, output)

    def loss_of(self, readout: Tensor, batch: ArmBatch) -> Tensor:
        """Eq. 61 without its rate term, of velocities [batch, time, joint] in rad/s of whole trials: a sum over time
        and coordinates and a mean over tasks, or a mean over all of them."""
        reached, motor = self.squared_errors(readout, batch)
        squared = reached + self.config.motor_weight * motor
        return squared.mean() if self.config.task_loss == "mean" else squared.sum(dim=(1, 2)).mean()

    def squared_errors(self, readout: Tensor, batch: ArmBatch) -> tuple[Tensor, Tensor]:
        """(y - y*)^2 [batch, time, (x, y)] of the tip, and of the velocities [batch, time, joint] in (rad/s)^2."""
        reached = tip(integrate(readout, self.config.dt_ms))
        target = batch.movements
        return (reached - target.positions).square(), (readout - target.velocities).square()

    def metrics(self, readout: Tensor, batch: ArmBatch) -> dict[str, Tensor]:
        """The mean squared error of the tip (over time, x and y), and that of the velocities in (rad/s)^2."""
        reached, motor = self.squared_errors(readout, batch)
        return {"test_mse": reached.mean(), "motor_mse": motor.mean()}

    def training_step(self, batch: ArmBatch, batch_idx: int) -> dict[str, Any]:
        """A batch of tasks learned in one shot each, and the outer loss of their test trials (Eq. 61)."""
        both = self.config.rate_trials == "both"
        inner = self.inner_loop(batch, test_output=both, test_signal=False)
        network, module = self.rates(inner, both)
        loss = self.loss_of(inner.test.y, batch) + self.rate.loss(network)
        with torch.no_grad():
            metrics = self.metrics(inner.test.y, batch) | {"rate_hz": network.mean()}
            metrics["training_mse"] = self.metrics(inner.training.y, batch)["test_mse"]
        if module is not None:
            loss = loss + self.module_rate.loss(module)
            metrics["module_rate_hz"] = module.detach().mean()
        metrics = {"loss": loss.detach()} | metrics
        return {"loss": loss, "metrics": self.log_shared(metrics, len(batch.target_input))}

    def rates(self, inner: InnerLoop, both: bool) -> tuple[Tensor, Tensor | None]:
        """Mean rates [neuron] in Hz of the network and of the error module (None without spikes), over the training
        trial or both."""
        trials = [inner.training, inner.test] if both else [inner.training]
        outputs = [inner.training_output, inner.test_output] if both else [inner.training_output]
        network = torch.stack([firing_rates(trial.trajectory.z, dt_ms=self.config.dt_ms) for trial in trials]).mean(
            dim=0
        )
        zeta = [output.zeta for output in outputs if output is not None and output.zeta.shape[2]]
        if not zeta:
            return network, None
        return network, self._mean_rates(zeta)

    def _mean_rates(self, trials: list[Tensor]) -> Tensor:
        return torch.stack([firing_rates(z, dt_ms=self.config.dt_ms) for z in trials]).mean(dim=0)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Raises RunFailed for a gradient that is not finite: Adam would keep it for ever."""
        for name, parameter in self.named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                raise RunFailed(f"the gradient of {name} is no longer finite: try a lower learning_rate or a clip_norm")

    def configure_optimizers(self) -> Any:
        """See `TaskModule.adam_with_decay`."""
        return self.adam_with_decay()
