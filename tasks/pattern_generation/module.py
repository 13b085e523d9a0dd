"""The Lightning module of task 1.1."""

from torch import Tensor

from repro.eprop import LIF, Readout, RecurrentLayer, SpikingNetwork
from repro.runs.sharing import shared_mean
from repro.runs.spiking_module import SpikingModule
from tasks.pattern_generation.config import PatternGenerationConfig
from tasks.pattern_generation.data import PatternTrial


class PatternGenerationModule(SpikingModule):
    """600 LIF neurons and three readouts that follow three patterns."""

    config_type = PatternGenerationConfig
    config: PatternGenerationConfig
    watched = 100  # the record has 20 of these that are active

    def __init__(self, config: PatternGenerationConfig, seed: int) -> None:
        super().__init__(config, seed)
        c, random = self.config, self.generator("weights")
        neuron = LIF(c.tau_m_ms, c.v_th, c.refractory_ms, c.dampening, c.dt_ms)
        self.network = SpikingNetwork(
            RecurrentLayer(neuron, c.n_in, c.n_rec, recurrent=c.recurrent, generator=random),
            Readout(
                c.n_rec,
                c.n_out,
                c.tau_out_ms,
                one_minus_kappa=c.readout_scale == "one_minus_kappa",
                dt_ms=c.dt_ms,
                generator=random,
            ),
        )

    def loss_of(self, readout: Tensor, batch: PatternTrial, first_step: int = 0) -> Tensor:
        """The target-mse over time and readouts, or the half sum above Eq. 42, as a mean over trials."""
        target = batch.target[:, first_step : first_step + readout.shape[1]]
        squared = (readout - target).square().sum()
        if self.config.task_loss == "mean":
            return squared / batch.target.numel()
        return squared / (2 * batch.target.shape[0])

    def metrics(self, readout: Tensor, batch: PatternTrial) -> dict[str, Tensor]:
        """The mean squared error, and the normalised one: over the mean variance of the targets."""
        variance = shared_mean(batch.target.var(dim=1, unbiased=False).mean())
        mse = (readout - batch.target).square().mean()
        return {"nmse": mse / variance, "mse": mse}
