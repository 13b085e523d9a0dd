"""The Lightning module of task 3.1."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.eprop.neurons.lstm import LSTM
from repro.gated import GatedNetwork
from repro.rules.synthetic import Window
from repro.runs.module import WindowedModule
from tasks.copy_repeat.config import CopyRepeatConfig
from tasks.copy_repeat.data import CopyRepeatData, Piece, WindowBatch, bits
from tasks.copy_repeat.sequences import CHANNELS, Level, sequences


class CopyRepeatModule(WindowedModule):
    """LSTM units and nine readouts, each the logarithm of the odds that its channel is one."""

    config: CopyRepeatConfig

    def __init__(self, config: CopyRepeatConfig, seed: int) -> None:
        super().__init__(config, seed)
        c = config
        scale = c.init_scale or c.units**-0.5
        unit = LSTM(c.squash, c.forget_bias)
        self.network = GatedNetwork(unit, CHANNELS, c.units, CHANNELS, scale, self.generator("weights"))
        self._bits: Tensor | float = 0.0

    def window(self, piece: Piece) -> Window:
        """A piece as Algorithm 1 wants it, its errors in bits."""
        return Window(piece.inputs, lambda readout: bits(readout, piece), piece.beyond)

    def by_inputs(self, piece: Piece, gradient: Tensor) -> dict[str, Tensor]:
        """Nothing learns through the inputs."""
        return {}

    def training_step(self, batch: WindowBatch, batch_idx: int) -> dict[str, Any]:
        """A window; the last one of its sequences tells the curriculum what they came to, in bits a sequence."""
        assert self.learning_rule is not None
        loss, error = self.learning_rule.loss(self, batch)
        self._bits = error + (0.0 if batch.begins else self._bits)
        metrics: dict[str, float] = {}
        solved: Level | None = None
        if batch.ends:
            curriculum, total = self.trainer.datamodule.curriculum, float(self._bits)  # type: ignore[attr-defined]
            solved = curriculum.report(total)
            metrics = {"loss": total, "length": batch.length, "length_solved": curriculum.solved}
        return {"loss": loss, "metrics": metrics, "solved": solved}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with default moments; the synthetic gradients are a group of their own."""
        return torch.optim.Adam(self.parameter_groups(), lr=self.config.learning_rate, fused=True)

    @staticmethod
    def summary(series: Mapping[str, np.ndarray[Any, Any]], config: CopyRepeatConfig) -> dict[str, float]:
        """The longest sequence that was solved, its place on the ladder of levels, and when that was (0: none was);
        whether the curve has flattened: something was solved, and nothing more in the second half of training."""
        solved = np.asarray(series["length_solved"])
        after = int(np.argmax(solved == solved[-1])) + 1 if solved[-1] else 0
        return {
            "length_solved": float(solved[-1]),
            "rung": float(len(np.unique(solved[solved > 0]))),
            "solved_after": float(after),
            "flattened": float(0 < after <= len(solved) / 2),
        }

    def snapshot(self, done: int, outputs: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """One sequence of a level when it is solved: on its way to the next a network forgets how it did that."""
        return self._example(outputs["solved"]) if outputs["solved"] else None

    @torch.no_grad()
    def _example(self, level: Level) -> dict[str, Tensor]:
        """What goes in, what is asked for (NaN where nothing is), and the probability of a one that the network gives,
        each [step, channel]."""
        made = sequences(level, 1, self.seed, "example", 0)
        start = self.network.neuron.initial_state(1, self.network.n, self.network.w_in)
        output = self.network.read_out(self.network.walk(made.inputs.to(self.network.w_in), start).h)[:, 0].sigmoid()
        target = made.target[0].clone()
        target[: level.asked_from] = torch.nan
        return {"example_input": made.inputs[0], "example_target": target, "example_output": output.cpu().float()}

    def analysis(
        self, data: CopyRepeatData, snapshots: Mapping[int, Mapping[str, Tensor]]
    ) -> tuple[dict[str, float], Any]:
        """One sequence of the hardest level that was solved; of the first level, if none was."""
        shown = snapshots[max(snapshots)] if snapshots else self._example(Level())
        return {}, {name: values.numpy() for name, values in shown.items()}
