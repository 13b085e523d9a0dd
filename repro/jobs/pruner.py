"""Which runs are stopped early."""

import statistics

import optuna
from optuna.trial import FrozenTrial, TrialState

from repro.jobs.job import Pruning


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
