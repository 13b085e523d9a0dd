"""Which runs are stopped early."""

import binascii
import itertools
import math
import statistics
from types import SimpleNamespace
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from repro.jobs.job import Pruning
from repro.jobs.trials import job_of


def pruner(rule: Pruning) -> optuna.pruners.BasePruner:
    """The pruner of a rule."""
    return SameSeedPruner(rule) if rule.rule == "median" else SameSeedHyperband(rule)


class SameSeedPruner(optuna.pruners.BasePruner):
    """Optuna's median rule among the runs of one seed: a seed that is hard for every point then stops no run."""

    def __init__(self, rule: Pruning) -> None:
        self.rule = rule

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial's best value so far is worse than the median of its rivals' best by the same iteration."""
        step = trial.last_step
        if step is None:
            return False
        rivals = [
            self._best(rival, step)
            for rival in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if rival.params["seed"] == trial.params["seed"] and min(rival.intermediate_values, default=step + 1) <= step
        ]
        if len(rivals) < self.rule.finished:
            return False
        ours, median = self._best(trial, step), statistics.median(rivals)
        return ours > median if self.rule.direction == "minimize" else ours < median

    def _best(self, trial: FrozenTrial, step: int) -> float:
        values = [value for at, value in trial.intermediate_values.items() if at <= step]
        return min(values) if self.rule.direction == "minimize" else max(values)


class SameSeedHyperband(optuna.pruners.BasePruner):
    """Hyperband (Li et al. 2018) among the runs of one seed: several successive halvings, each of which begins later.

    A point is in the same bracket with all of its seeds. Optuna's class compares all runs, in the study's direction.
    """

    def __init__(self, rule: Pruning) -> None:
        self.direction = StudyDirection.MINIMIZE if rule.direction == "minimize" else StudyDirection.MAXIMIZE
        number = int(math.log(rule.last / rule.first, rule.factor) + 1e-9) + 1
        rest = [number - 1 - bracket for bracket in range(number)]
        self.shares = [math.ceil(number * rule.factor**s / (s + 1)) for s in rest]  # as in Optuna: of points
        self.brackets = [
            optuna.pruners.SuccessiveHalvingPruner(rule.first, rule.factor, bracket) for bracket in range(number)
        ]

    def bracket(self, trial: FrozenTrial) -> int:
        """The bracket of a trial's point, by a hash: each has a share of the points."""
        place = binascii.crc32(repr(job_of(trial).point).encode()) % sum(self.shares)
        return next(at for at, end in enumerate(itertools.accumulate(self.shares)) if place < end)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial is not among the best 1 / factor of its seed and bracket."""
        ours = (trial.params["seed"], self.bracket(trial))

        def get_trials(deepcopy: bool = False) -> list[FrozenTrial]:
            """One trial a job: the last attempt that has values has those of all before it."""
            every = [other for other in study.get_trials(deepcopy=deepcopy) if other.intermediate_values]
            last = {job_of(other): other for other in every}
            return [other for job, other in last.items() if (job.seed, self.bracket(other)) == ours]

        view: Any = SimpleNamespace(get_trials=get_trials, direction=self.direction, _storage=study._storage)
        return self.brackets[ours[1]].prune(view, trial)
