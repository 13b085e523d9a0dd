"""Problems whose batches are truncation windows of an LSTM network."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks import batches
from benchmarks.problem import Problem
from repro.runs.rule_settings import WindowSettings
from repro.runs.rules import window_rule
from tasks import get_task
from tasks.copy_repeat.data import CopyWindow, in_windows
from tasks.copy_repeat.sequences import Level, sequences
from tasks.word_prediction.data import WordSegment, WordWindow

PREDICTED = 0.02  # the standard deviation of a last layer that, as it begins, would predict zero
LEVEL = Level(pattern=4, repeats=4)  # 23 steps, six windows


@dataclasses.dataclass(frozen=True)
class WindowProblem(Problem):
    """A task in windows, with its initial weights; the learning rate is 0, so that they do not change. `readings`
    replace values of its config."""

    readings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def config(self, variant: str = "", **readings: str) -> Any:
        """The task's config."""
        size = {name: str(value) for name, value in self.size.items()}
        chosen = {"learning_rate": "0"} | size | dict(self.readings) | readings
        return self._task.resolve(variant or "e_prop_3", "paper", chosen, data={})

    def module(self, config: Any) -> Any:
        """The task's Lightning module, always with the same weights."""
        return self.in_precision(self._task.load("module")(config, seed=0))

    def learning_module(self, config: Any) -> Any:
        """The module with the learning rule of the config, and with synthetic gradients that are not zero."""
        module = self.module(config)
        module.network.layer.rule = window_rule(config)
        if module.predictor is not None:
            random = torch.Generator().manual_seed(0)
            torch.nn.init.normal_(module.predictor.out, std=PREDICTED, generator=random)
        return module

    @functools.cached_property
    def windows(self) -> list[Any]:
        """Windows of sequences from their beginning, most of them with the next one."""
        made: list[Any] = MADE[self.task](self.config())
        chosen = made if self.trials is None else [batches.pick(window, self.trials) for window in made]
        return [self.in_precision(window) for window in chosen]

    @functools.cached_property
    def timed(self) -> list[Any]:
        """The windows of an iteration: all of a sequence where sequences begin anew, else some in the midst of a text.

        None is the last, after which a module would report to a curriculum."""
        windows = self.windows if self.task == "copy_repeat" else self.windows[1:]
        return [window._replace(ends=False) for window in windows]


def _copying(config: Any) -> list[CopyWindow]:
    made = sequences(LEVEL, config.batch_size, 0, "benchmark", 0)
    return in_windows(made, config.truncation_steps)


def _reading(config: Any) -> list[WordWindow]:
    """Of words that are drawn at random."""
    random, steps = torch.Generator().manual_seed(0), config.truncation_steps
    text = torch.randint(config.vocabulary, (config.batch_size, 4 * steps + 1), generator=random)
    starts = range(0, 4 * steps, steps)
    segments = [WordSegment(text[:, k : k + steps], text[:, k + 1 : k + steps + 1], text[:, k + steps]) for k in starts]
    pairs = itertools.pairwise(segments)
    return [WordWindow(this, later, this is segments[0], False, 0, 4 * steps) for this, later in pairs]


MADE: dict[str, Callable[[Any], list[Any]]] = {"copy_repeat": _copying, "word_prediction": _reading}


def problem_of(task: str, size: dict[str, int], **rest: Any) -> Problem:
    """The problem of a task, of the kind that the task is."""
    kind = WindowProblem if issubclass(get_task(task).config, WindowSettings) else Problem
    return kind(task, size, **rest)
