"""Points in order, the table and the picture, from states that are made up."""

import hashlib
import math
import statistics

import pytest

from repro.jobs.job import Job, JobState
from repro.studies import plots, report
from repro.studies.ranking import rank
from repro.studies.study import Study
from tests.studies.conftest import changed

TWO = ("e_prop_1", "bptt")


def finished(**metrics: float) -> JobState:
    return JobState("finished", metrics)


def states_of(study: Study) -> dict[Job, JobState]:
    """A higher threshold is better, a higher seed a little worse."""
    return {job: finished(nmse=1 / float(dict(job.point)["v_th"]) + 0.01 * (job.seed - 100)) for job in study.search}


def test_the_mean_over_seeds_ranks(study: Study) -> None:
    rows = rank(study, states_of(study))
    assert [dict(row.point)["v_th"] for row in rows] == [0.9, 0.9, 0.61, 0.61, 0.4, 0.4]
    assert rows[0].score == pytest.approx(1 / 0.9 + 0.005)
    assert rows[0].cells["e_prop_1"].spread == pytest.approx(statistics.stdev([0.0, 0.01]))
    up = rank(changed(study, direction="maximize"), states_of(study))
    assert dict(up[0].point)["v_th"] == 0.4


def test_printed_numbers_rank_by_distance(study: Study) -> None:
    study = changed(study, variants=TWO, printed={"e_prop_1": 50.0, "bptt": 28.0}, metrics=("iterations",))
    near, far = study.points[3], study.points[0]
    ours = {near: {"e_prop_1": 60.0, "bptt": 28.0}, far: {"e_prop_1": 50.0, "bptt": 14.0}}
    states = {
        job: finished(iterations=ours.get(job.point, {"e_prop_1": 1.0, "bptt": 1.0})[job.variant])
        for job in study.search
    }
    rows = rank(study, states)
    assert [row.point for row in rows[:2]] == [near, far]
    assert rows[0].score == pytest.approx(math.log(60 / 50))
    assert rows[1].score == pytest.approx(math.log(2))
    assert "| e_prop_1 (paper: 50)" not in report.table(study, states)  # the metric stands before it
    assert "iterations, e_prop_1 (paper: 50)" in report.table(study, states)


def test_two_metrics_are_two_readings(study: Study) -> None:
    study = changed(study, metrics=("nmse", "mse"))
    states = {job: finished(nmse=1.0, mse=0.5 if job.point == study.points[2] else 2.0) for job in study.search}
    rows = rank(study, states)
    assert len(rows) == 12
    assert (rows[0].point, rows[0].metric) == (study.points[2], "mse")
    assert study.best_points(states) == [study.points[2]]
    assert report.table(study, states).splitlines()[6].split(" | ")[2] == "metric"


def test_points_with_seeds_that_were_stopped_come_last(study: Study) -> None:
    states = states_of(study)
    best = rank(study, states)[0].point
    states[Job(best, "e_prop_1", 101)] = JobState("pruned")
    rows = rank(study, states)
    assert rows[-1].point == best
    assert "1.111 (1 stopped early)" in report.best_line(study, rows[-1])
    assert study.best_points(states) != [best]


def test_the_best_are_known_when_the_search_is_over(study: Study) -> None:
    states = states_of(study)
    assert [job.seed for job in study.wanted(states)].count(200) == 1
    last = study.search[-1]
    assert study.wanted(states | {last: JobState("running")}) == study.search
    assert changed(study, best=0).wanted(states) == study.search


def test_bounds_are_marked(study: Study) -> None:
    states = states_of(study)
    job = study.search[0]
    states[job] = finished(nmse=3.0, nmse_at_least=1.0)
    page = report.table(study, states)
    assert page.count("| ≥ ") == 1
    assert page.count("≥") == 2  # and the legend
    states[job] = finished(nmse=3.0, nmse_at_least=0.0)
    assert report.table(study, states).count("≥") == 1


def test_a_lost_run_and_a_number_that_is_none(study: Study) -> None:
    states = states_of(study)
    best = rank(study, states)[0].point
    for state in (JobState("lost"), finished(nmse=math.nan)):
        states[Job(best, "e_prop_1", 100)] = state
        rows = rank(study, states)
        assert (rows[-1].point, rows[-1].score) == (best, math.inf)
        assert "(1 lost)" in report.best_line(study, rows[-1])


def test_a_median_of_three_stands_when_one_run_is_lost(study: Study) -> None:
    study = changed(study, objective="median", seeds=(100, 101, 102))
    states = {job: finished(nmse=(40.0, 50.0, 90.0)[job.seed - 100]) for job in study.search}
    states[Job(study.points[0], "e_prop_1", 102)] = JobState("lost")
    (row,) = [row for row in rank(study, states) if row.point == study.points[0]]
    assert row.score == 50.0
    assert report.best_line(study, row).endswith(": nmse 50 (1 lost)")
    assert "| 50 (1 lost) |" in report.table(study, states)
    of_mean = changed(study, objective="mean")
    (row,) = [row for row in rank(of_mean, states) if row.point == study.points[0]]
    assert report.best_line(of_mean, row).endswith(": nmse (1 lost)"), "control: no mean has a lost run"


@pytest.mark.parametrize("kind", ["three axes", "one axis", "choices", "printed", "nothing yet"])
def test_pictures(study: Study, kind: str) -> None:
    grids = {
        "three axes": {"tau_m_ms": (10.0, 20.0), "learning_rate": (0.001, 0.003), "v_th": (0.4, 0.61)},
        "one axis": {"tau_m_ms": (20.0,), "v_th": (0.4, 0.61)},
        "choices": {"trace": ("full", "truncated"), "v_th": (0.4, 0.61)},
    }
    study = changed(study, grid=grids.get(kind, study.grid), variants=TWO)
    if kind == "printed":
        study = changed(study, printed={"e_prop_1": 2.0, "bptt": 1.0})
    states = {} if kind == "nothing yet" else states_of(study)
    if states:
        states |= {study.search[0]: JobState("lost"), study.search[1]: JobState("pruned")}
    files = plots.draw(study, states)
    svg = files["landscape.svg"].decode()
    assert files["landscape.png"].startswith(b"\x89PNG")
    assert all(variant in svg for variant in TWO)
    assert files == plots.draw(study, states), "the same bytes"
    if states and kind != "printed":
        job = study.search[-1]
        moved = plots.draw(study, states | {job: finished(nmse=9.0)})
        digests = {hashlib.sha256(f["landscape.svg"]).hexdigest() for f in (files, moved)}
        assert len(digests) == 2, "control: the picture shows the numbers"


def test_the_papers_point_is_framed(study: Study) -> None:
    framed = plots.draw(study, states_of(study))["landscape.svg"].decode().count("#c84a00")
    grid = dict(study.grid) | {"v_th": (0.4, 0.6, 0.9)}
    away = changed(study, grid=grid)
    assert framed == 1
    assert plots.draw(away, states_of(away))["landscape.svg"].decode().count("#c84a00") == 0
