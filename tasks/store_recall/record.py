"""Final numbers of a run of task 1.2 (when it was solved), a trial, and the decoding of Fig. 2b."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from repro.runs.observer import Arrays, EachIteration, Numbers, Observer, recorder_of
from repro.runs.recorder import Recorder
from tasks.store_recall import decoding, example
from tasks.store_recall.config import AGES, StoreRecallConfig
from tasks.store_recall.data import Schedule, schedule, trials

MEAN_OF = 20  # batches, for solved_by = mean_of_20
DELAY_TRIALS = 20_000  # from which the mean delay is taken


def summary(series: Mapping[str, Any], config: StoreRecallConfig) -> Numbers:
    """A run's final numbers: iterations to 5 % error by both measures; where it was not reached, the number of
    iterations and a mark. A batch without a RECALL has no error (NaN): it does not count."""
    errors, last = list(series["validation_error"]), min(MEAN_OF, len(series["validation_error"]))
    numbers = {"error": float(np.nanmean(errors[-last:])), "rate_hz": float(np.mean(series["rate_hz"][-last:]))}
    for measure in ("one_batch", "mean_of_20"):
        after = solved_after(errors, measure, config.solved_error)
        reached = {"": float(len(errors) if after is None else after), "_at_least": float(after is None)}
        numbers |= {f"iterations_{measure}{mark}": value for mark, value in reached.items()}
        if measure == config.solved_by:
            numbers |= {f"iterations{mark}": value for mark, value in reached.items()}
    return numbers


def solved_after(errors: Sequence[float], measure: str, limit: float) -> int | None:
    """Updates before the validation error first lay below `limit`; None if it never did."""
    width = 1 if measure == "one_batch" else MEAN_OF
    for last in range(width - 1, len(errors)):
        known = [error for error in errors[last - width + 1 : last + 1] if not math.isnan(error)]
        if known and sum(known) / len(known) < limit:
            return last
    return None


def observers(config: StoreRecallConfig) -> list[Observer]:
    """The callbacks of a run."""
    return [Validation(), Example(), *([Decoding(config)] if config.decode else [])]


class Validation(EachIteration):
    """Measures the error on separate trials before each update, and ends training when the task is solved."""

    def __init__(self) -> None:
        self.error = float("nan")

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """A run that resumes after it has solved the task is not trained on."""
        self._stop_if_solved(recorder_of(trainer), trainer, pl_module)

    @torch.no_grad()
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """The error on validation batch number `batch_idx`, with the weights as they are."""
        validation = trials(pl_module.config, pl_module.seed, "validation", batch_idx)
        validation = pl_module.transfer_batch_to_device(validation, pl_module.device, 0)
        readout, _ = pl_module.network(validation.inputs, pl_module.state)
        self.error = float(pl_module.metrics(readout, validation)["error"])

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """See `EachIteration.after_iteration`."""
        recorder.add("validation_error", self.error)
        pl_module.log("validation_error", self.error)
        self._stop_if_solved(recorder, trainer, pl_module)

    def _stop_if_solved(self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any) -> None:
        if is_solved(recorder.series.get("validation_error", []), pl_module.config):
            trainer.should_stop = True


def is_solved(errors: Sequence[float], config: StoreRecallConfig) -> bool:
    """Whether training may stop: below 5 % on separate validation trials. It stops at once, so the last ones decide."""
    recent = errors[-MEAN_OF:]
    return config.stop_when_solved and solved_after(recent, config.solved_by, config.solved_error) is not None


class Example(Observer):
    """The mean delay from STORE to RECALL, and one validation trial for panel 2a."""

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """See `Observer.results`."""
        plan = schedule(pl_module.config, DELAY_TRIALS, pl_module.generator("delays"))
        return {"delay_s": float(mean_delay(plan) * pl_module.config.period_ms / 1000)}, example.arrays(pl_module)


def mean_delay(plan: Schedule) -> torch.Tensor:
    """Periods from a STORE to its RECALL, the mean over all RECALLs. A STORE that no RECALL follows does not count."""
    followed = plan.store & (plan.store.cumsum(dim=1) <= plan.recall.sum(dim=1, keepdim=True))
    period = torch.arange(plan.store.shape[1])
    delay: torch.Tensor = ((plan.recall * period).sum() - (followed * period).sum()) / plan.recall.sum()
    return delay


class Decoding(EachIteration):
    """Keeps the weights at the ages at which Fig. 2b decodes, and decodes the stored bit from eligibility traces."""

    def __init__(self, config: StoreRecallConfig) -> None:
        # As parts of the run where it is a short one.
        self.ages = tuple(max(1, age * config.iterations // AGES[-1]) for age in AGES)

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """See `EachIteration.after_iteration`."""
        if recorder.done in self.ages:
            named = pl_module.network.named_parameters()
            recorder.keep({name: weight.detach().cpu().clone() for name, weight in named})

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """See `Observer.results`."""
        snapshots = recorder_of(trainer).snapshots
        return decoding.decode(pl_module, self.ages, [snapshots[age] for age in self.ages])
