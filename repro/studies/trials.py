"""The points of a study as the trials of an Optuna study: for its samplers, its importances and its dashboard."""

import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from repro.jobs.job import JobStates
from repro.jobs.ranges import Range
from repro.jobs.trials import distribution
from repro.runs.config import Value
from repro.studies.ranking import Row, rank
from repro.studies.spec import StudySpec

Choice = tuple[Value, ...] | Range

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def in_order(study: StudySpec, states: JobStates) -> list[Row]:
    """A row for each point under the first metric, as the points were tried."""
    at = {point: number for number, point in enumerate(study.points_in(states))}
    rows = [row for row in rank(study, states) if row.metric == study.metrics[0]]
    return sorted(rows, key=lambda row: at[row.point])


def as_trials(
    study: StudySpec, rows: Iterable[Row], kinds: Mapping[str, BaseDistribution] | None = None
) -> optuna.Study:
    """An Optuna study in memory with a trial for each row, whose value is the score.

    A point with seeds to come is a running trial, else one with seeds that were stopped early is pruned. `kinds` are
    the parameters' kinds; those of all that the study may try, if none are given.
    """
    choices: Mapping[str, Choice] = {**study.grid, **study.ranges}
    kinds = kinds or {key: distribution(choice) for key, choice in choices.items()}
    trials = optuna.create_study(study_name=study.name, direction="minimize" if study.printed else study.direction)
    trials.set_metric_names(["distance" if study.printed else f"{study.objective} {study.metrics[0]}"])
    for row in rows:
        state = _state(row)
        value = row.score if state is TrialState.COMPLETE else None
        trials.add_trial(
            optuna.trial.create_trial(state=state, value=value, params=dict(row.point), distributions=dict(kinds))
        )
    return trials


def _state(row: Row) -> TrialState:
    if any(cell.open for cell in row.cells.values()):
        return TrialState.RUNNING
    return TrialState.PRUNED if row.lacking else TrialState.COMPLETE


def importances(study: StudySpec, rows: Iterable[Row]) -> dict[str, float]:
    """Each key's part in the variance of the score, by fANOVA (Hutter et al. 2014); none from under four points."""
    trials = as_trials(study, rows)
    if len(trials.get_trials(states=(TrialState.COMPLETE,))) < 4:
        return {}
    try:
        return dict(
            optuna.importance.get_param_importances(
                trials, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
        )
    except (RuntimeError, ValueError):  # the scores do not differ, or all are infinite
        return {}


def journal(study: StudySpec, rows: Iterable[Row]) -> bytes:
    """An Optuna journal of the points, such as `optuna-dashboard` opens."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.log"
        trials = as_trials(study, rows)
        name = trials.study_name
        to = JournalStorage(JournalFileBackend(str(path)))
        optuna.copy_study(from_study_name=name, from_storage=trials._storage, to_storage=to)
        return path.read_bytes()
