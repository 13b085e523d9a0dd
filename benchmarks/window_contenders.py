"""The contenders in torch that learn in windows: ours, the cell written out, `torch.nn.LSTM`, textbook e-prop 3."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.contenders import Built, Gradients, gradients_of
from benchmarks.lstm import StockLSTM, TruncatedBPTT
from benchmarks.names import CELL, CONTENDERS, IN_PLACE, PRINTED, PRINTED_TRACES, STOCK
from benchmarks.problem import Step, optimizer_of, torch_step
from benchmarks.textbook import TextbookEProp3
from benchmarks.windows import WindowProblem
from tasks.word_prediction import clipping


def build(who: str, problem: WindowProblem) -> Built:
    """A contender by its name."""
    config = problem.config(CONTENDERS[who].variant)
    module = problem.learning_module(config)
    if who == CELL:
        cell = TruncatedBPTT(module)
        iteration = _iteration(module, cell.loss, problem, optimizer_of(module), config.clip_norm)
        return Built(iteration, lambda: [cell.learn(window)[1] for window in problem.windows])
    if who == STOCK:
        stock = StockLSTM(module)
        kind: Any = type(optimizer_of(module))
        optimizer = kind(stock.parameters(), lr=config.learning_rate, fused=True)
        iteration = _iteration(stock, stock.loss, problem, optimizer, config.clip_norm)
        return Built(iteration, lambda: [stock.learn(window)[1] for window in problem.windows])
    if who in (PRINTED, IN_PLACE, PRINTED_TRACES):
        return _textbook(TextbookEProp3(module, in_place=who == IN_PLACE), module, problem, config.clip_norm)
    return _ours(module, problem, config.clip_norm)


def _ours(module: Any, problem: WindowProblem, clip: float) -> Built:
    def loss_of(window: Any) -> Tensor:
        loss: Tensor = module.window_loss(window).loss
        return loss

    def gradients() -> list[Gradients]:
        series = []
        for window in problem.windows:
            module.zero_grad()
            loss_of(window).backward()
            series.append(gradients_of(module))
        return series

    return Built(_iteration(module, loss_of, problem, optimizer_of(module), clip), gradients)


def _iteration(
    module: Any,
    loss_of: Callable[[Any], Tensor],
    problem: WindowProblem,
    optimizer: torch.optim.Optimizer,
    clip: float,
) -> Step:
    """One update after the other, of all windows that are timed."""
    losses = [functools.partial(loss_of, window) for window in problem.timed]
    steps = [torch_step(module, loss, optimizer, clip) for loss in losses]

    def iteration() -> None:
        for step in steps:
            step()

    return iteration


def _textbook(learner: TextbookEProp3, module: Any, problem: WindowProblem, clip: float) -> Built:
    optimizer = optimizer_of(module)

    def step() -> None:
        for window in problem.timed:
            gradients = learner.learn(window)[1]
            for name, parameter in module.named_parameters():
                parameter.grad = gradients.get(name)
            if clip:
                clipping.clip(module.parameters(), clip)
            optimizer.step()

    return Built(step, lambda: [learner.learn(window)[1] for window in problem.windows])
