"""The Lightning module of task 3.1."""

from typing import Any

import torch
from torch import Tensor

from repro.eprop.neurons.lstm import LSTM
from repro.eprop.rules.synthetic import Window
from repro.runs.lstm_network import LSTMNetwork
from repro.runs.windowed_module import WindowedModule
from tasks.copy_repeat.config import CopyRepeatConfig
from tasks.copy_repeat.data import CopySegment, CopyWindow, bits
from tasks.copy_repeat.sequences import CHANNELS


class CopyRepeatModule(WindowedModule):
    """LSTM units and nine readouts, each the logarithm of the odds that its channel is one."""

    config_type = CopyRepeatConfig
    config: CopyRepeatConfig

    def __init__(self, config: CopyRepeatConfig, seed: int) -> None:
        super().__init__(config, seed)
        c = self.config
        unit, scale = LSTM(c.squash, c.forget_bias), c.init_scale or c.units**-0.5
        self.build(LSTMNetwork(unit, CHANNELS, c.units, CHANNELS, scale, self.generator("weights")))
        self._bits: Tensor | float = 0.0  # of the sequences so far, per sequence

    def window(self, segment: CopySegment) -> Window:
        """See `WindowedModule.window`."""
        return Window(segment.inputs, (segment.target, segment.first_target_step), segment.next_input)

    def error_of(self, readout: Tensor, target: tuple[Tensor, int]) -> Tensor:
        """Bits, added up over channels, steps and sequences."""
        return bits(readout, *target)

    def training_step(self, batch: CopyWindow, batch_idx: int) -> dict[str, Any]:
        """One window; the last one of its sequences reports their bits a sequence to the curriculum."""
        result = self.window_loss(batch)
        self._bits = result.error + (0.0 if batch.begins else self._bits)
        metrics: dict[str, float] = {}
        solved = None
        if batch.ends:
            curriculum, total = self.trainer.datamodule.curriculum, float(self._bits)  # type: ignore[attr-defined]
            solved = curriculum.report(total)
            metrics = {"loss": total, "length": float(batch.length), "length_solved": float(curriculum.solved)}
            self.log_dict(metrics, batch_size=len(batch.this.inputs))
        return {"loss": result.loss, "metrics": metrics, "solved": solved}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with default moments; the synthetic gradients are a second group."""
        return torch.optim.Adam(self.parameter_groups(), lr=self.config.learning_rate, fused=True)
