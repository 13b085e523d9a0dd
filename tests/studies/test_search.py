"""Points of a search: drawn from what the runs so far gave, reproducibly, within the budget, none twice."""

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from repro.errors import UserError
from repro.jobs.job import Job, JobState, Point
from repro.studies import plots, report, table
from repro.studies.ranking import rank
from repro.studies.sampling import space
from repro.studies.study import Study
from repro.studies.studyfile import load
from repro.studies.trials import as_trials, importances, in_order, journal
from tests.studies.conftest import SEARCH, changed
from tests.studies.test_table import run_of

States = dict[Job, JobState]
REFINED = SEARCH.replace("high = 2.0, log = true", "high = 2.0, log = true, first = [0.2, 0.6, 1.8]").replace(
    "learning_rate = {low = 1e-4, high = 1e-2, log = true}\n", ""
)


@pytest.fixture
def search(results: Path, write: Callable[[str], Path]) -> Study:
    """Twelve points over two ranges, two seeds."""
    return load(write(SEARCH))


@pytest.fixture
def refined(results: Path, write: Callable[[str], Path]) -> Study:
    """Three first thresholds, then twelve between the neighbours of the best one."""
    return load(write(REFINED))


def bowl(job: Job) -> JobState:
    """Best at a threshold of 0.6; the learning rate does nothing; the second seed is a little worse."""
    nmse = math.log(float(dict(job.point)["v_th"]) / 0.6) ** 2 + 0.01 * (job.seed - 100)
    return JobState("finished", {"nmse": nmse}, seconds=60.0)


def done(study: Study, value: Callable[[Job], JobState] = bowl, states: States | None = None) -> States:
    """As one worker does it: the first job that has no state, until there is none."""
    states = dict(states or {})
    while left := [job for job in study.wanted(states) if job not in states]:
        states[left[0]] = value(left[0])
    return states


def values(points: list[Point], key: str = "v_th") -> list[float]:
    return [float(dict(point)[key]) for point in points]


def test_the_budget_and_the_limits_hold(search: Study) -> None:
    states = done(search)
    points = search.points_in(states)
    assert len(points) == len(set(points)) == 12
    assert len(states) == search.size == 24
    assert all(0.2 <= value <= 2.0 for value in values(points))
    assert all(1e-4 <= value <= 1e-2 for value in values(points, "learning_rate"))
    assert all(value == float(f"{value:.4g}") for value in values(points)), "four digits"


def test_a_search_can_be_repeated_and_its_seed_matters(search: Study) -> None:
    assert done(search) == done(search)
    assert search.sampler
    other = changed(search, sampler=changed(search.sampler, seed=1))
    assert done(other) != done(search)


def test_tpe_goes_where_results_are_good_and_random_does_not(search: Study) -> None:
    assert search.sampler
    long = changed(search.sampler, points=60)
    spread = {}
    for name in ("tpe", "random"):
        study = changed(search, sampler=changed(long, name=name))
        late = values(study.points_in(done(study)))[30:]
        spread[name] = statistics.median(abs(math.log(value / 0.6)) for value in late)
    assert spread["tpe"] < 0.6 * spread["random"]
    up = changed(search, direction="maximize", sampler=long)
    late = values(up.points_in(done(up)))[30:]
    assert statistics.median(abs(math.log(value / 0.6)) for value in late) > spread["random"]


def test_no_point_is_drawn_while_another_waits(search: Study) -> None:
    first = search.wanted({})
    assert len({job.point for job in first}) == 1 and len(first) == 2
    waiting = {first[0]: JobState("running"), first[1]: JobState("waiting")}
    assert search.wanted(waiting) == first
    assert search.wanted({first[0]: JobState("running")}) == first, "a run that was given up is made first"
    running = {job: JobState("running") for job in first}
    assert len({job.point for job in search.wanted(running)}) == 2, "control: no worker is left without a run"


def test_hours_end_a_search(search: Study) -> None:
    assert search.sampler
    hours = changed(search, sampler=changed(search.sampler, hours=0.1))  # six minutes, six runs
    assert len(done(hours)) == 6


def test_a_range_of_few_whole_numbers_is_used_up(write: Callable[[str], Path], results: Path) -> None:
    text = SEARCH.replace("learning_rate = {low = 1e-4, high = 1e-2, log = true}", "")
    study = load(write(text.replace("v_th = {low = 0.2, high = 2.0, log = true}", "n_rec = {low = 3, high = 14}")))
    states = done(study, lambda job: JobState("finished", {"nmse": float(dict(job.point)["n_rec"])}))
    assert sorted(dict(point)["n_rec"] for point in study.points_in(states)) == list(range(3, 15))


def test_first_values_then_between_the_neighbours_of_the_best(refined: Study) -> None:
    states = done(refined)
    tried = values(refined.points_in(states))
    assert tried[:3] == [0.2, 0.6, 1.8]
    assert len(tried) == 15 and all(0.2 <= value <= 1.8 for value in tried)
    low = done(refined, lambda job: JobState("finished", {"nmse": float(dict(job.point)["v_th"])}))
    assert all(0.2 <= value <= 0.6 for value in values(refined.points_in(low))[3:])
    part: States = {job: JobState("running") for job in refined.search}
    assert refined.wanted(part) == refined.search, "the first points decide, all of them"


def test_choices_keep_the_best_first_points_value(write: Callable[[str], Path], results: Path) -> None:
    study = load(write(REFINED.replace("[ranges]", '[grid]\ntrace = ["full", "truncated"]\n[ranges]')))
    worse = {"full": 1.0, "truncated": 0.0}

    def value(job: Job) -> JobState:
        return JobState("finished", {"nmse": bowl(job).metrics["nmse"] + worse[str(dict(job.point)["trace"])]})

    drawn = study.points_in(done(study, value))[6:]
    assert len(drawn) == 12 and {dict(point)["trace"] for point in drawn} == {"truncated"}
    free = load(write(SEARCH.replace("[ranges]", '[grid]\ntrace = ["full", "truncated"]\n[ranges]')))
    assert {dict(point)["trace"] for point in free.points_in(done(free))} == {"full", "truncated"}


def test_lost_first_points_narrow_nothing(refined: Study) -> None:
    states: States = {job: JobState("lost") for job in refined.search}
    assert space(refined, rank(refined, states)) == {"v_th": refined.ranges["v_th"]}
    assert len(refined.points_in(done(refined, lambda job: JobState("lost")))) == 15


def test_the_median_over_seeds_ranks(search: Study) -> None:
    study = changed(search, seeds=(100, 101, 102), objective="median")

    def fragile(job: Job) -> JobState:
        return JobState("lost") if job.seed == 102 else bowl(job)

    rows = rank(study, done(study, fragile))
    assert rows[0].score == pytest.approx(math.log(float(dict(rows[0].point)["v_th"]) / 0.6) ** 2 + 0.01)
    mean = changed(study, objective="mean")
    assert rank(mean, done(mean, fragile))[0].score == math.inf, "control"
    assert "median ± standard deviation" in report.table(study, done(study, fragile))


def test_the_best_are_run_again_when_the_search_is_over(search: Study) -> None:
    study = changed(search, best=2, best_seeds=(200,))
    states = done(study)
    fresh = [job for job in states if job.seed == 200]
    assert len(states) == study.size == 26
    best = sorted(study.points_in(states), key=lambda point: abs(math.log(float(dict(point)["v_th"]) / 0.6)))[:2]
    assert [job.point for job in fresh] == best


def test_points_are_optunas_trials(search: Study, tmp_path: Path) -> None:
    def mixed(job: Job) -> JobState:
        return JobState("pruned") if float(dict(job.point)["v_th"]) > 1.0 else bowl(job)

    states = done(search, mixed)
    rows = in_order(search, states)
    path = tmp_path / "points.log"
    path.write_bytes(journal(search, rows))
    study = optuna.load_study(study_name="a_try", storage=JournalStorage(JournalFileBackend(str(path))))
    assert study.metric_names == ["mean nmse"] and study.direction.name == "MINIMIZE"
    assert [tuple(trial.params.items()) for trial in study.trials] == search.points_in(states)
    names = {trial.state.name for trial in study.trials}
    assert names == {"COMPLETE", "PRUNED"}
    for trial in study.trials:
        if trial.state.name == "COMPLETE":
            runs = [states[Job(tuple(trial.params.items()), "e_prop_1", seed)] for seed in (100, 101)]
            assert trial.value == pytest.approx(statistics.fmean(run.metrics["nmse"] for run in runs))
    last = [job for job in states if job.point == search.points_in(states)[-1]][-1]
    assert as_trials(search, in_order(search, states | {last: JobState("running")})).trials[-1].state.name == "RUNNING"


def test_importances_name_the_key_that_matters(search: Study) -> None:
    assert search.sampler
    study = changed(search, sampler=changed(search.sampler, points=40))
    parts = importances(study, in_order(study, done(study)))
    assert parts["v_th"] > 0.8 > 0.2 > parts["learning_rate"]
    assert importances(study, in_order(study, {})) == {}
    flat = done(search, lambda job: JobState("finished", {"nmse": 1.0}))
    assert set(importances(search, in_order(search, flat)).values()) <= {0.0}


@pytest.mark.parametrize("kind", ["two ranges", "first values", "a choice", "nothing yet", "all lost", "printed"])
def test_pictures(search: Study, refined: Study, write: Callable[[str], Path], kind: str) -> None:
    study = refined if kind == "first values" else search
    if kind == "a choice":
        study = load(write(SEARCH.replace("[ranges]", '[grid]\ntrace = ["full", "truncated"]\n[ranges]')))
    if kind == "printed":
        study = changed(study, printed={"e_prop_1": 0.1})
    states = {"nothing yet": {}, "all lost": done(study, lambda job: JobState("lost"))}.get(kind) or (
        {} if kind == "nothing yet" else done(study)
    )
    files = plots.draw(study, states)
    svg = files["landscape.svg"].decode()
    assert all(key in svg for key in study.keys)
    assert ("importance" in svg) == (len(study.keys) > 1)
    assert files == plots.draw(study, states), "the same bytes"
    if kind in ("two ranges", "first values"):
        moved = plots.draw(study, states | {next(iter(states)): JobState("finished", {"nmse": 9.0})})
        assert moved["landscape.svg"] != files["landscape.svg"], "control: the picture shows the numbers"


def test_the_table_of_runs_has_pruned_ones(search: Study, results: Path, tmp_path: Path) -> None:
    trained, pruned = list(done(search))[:2]
    run_of(search, results / "studies" / search.name / "runs", trained)
    path = tmp_path / "table.csv"
    assert table.write(search, path, [pruned]) == table.Written(path, 2, 0)
    by_job = {(row["v_th"], row["seed"]): row for row in table.read(search, path)}
    v_th = str(dict(trained.point)["v_th"])
    assert by_job[v_th, str(trained.seed)]["status"] == "finished"
    assert by_job[str(dict(pruned.point)["v_th"]), str(pruned.seed)]["status"] == "pruned"
    path.write_text(path.read_text().replace(v_th, "99.0"))
    with pytest.raises(UserError, match=r"v_th = '99\.0'"):
        table.read(search, path)
