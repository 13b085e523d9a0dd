"""A search that is interrupted knows the points that it has drawn, so it makes as many as it may and no more."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.jobs.job import Attempt, Job
from repro.jobs.queue import Queue
from repro.studies.study import Study
from repro.studies.studyfile import load
from tests.jobs.serving import serve
from tests.studies.conftest import FAST, SEARCH

POINTS = 6


@pytest.fixture
def search(results: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Study:
    """Six points, one seed; a point that is drawn a second time is another one, as it may be with other results."""
    drawn = itertools.count(1)

    def new(*_: Any) -> Any:
        return ("v_th", 0.2 + 0.01 * next(drawn)), ("learning_rate", 0.001)

    monkeypatch.setattr("repro.studies.sampling._new", new)
    text = SEARCH.replace("[100, 101]", "[100]").replace("points = 12", f"points = {POINTS}")
    return load(write(text))


def value(job: Job, *_: Any) -> dict[str, float]:
    return {"nmse": float(dict(job.point)["v_th"])}


def taken(queue: Queue, number: int) -> list[Attempt]:
    attempts = []
    for _ in range(number):
        queue.fill()
        attempts.append(queue.take())
    assert None not in attempts
    return [attempt for attempt in attempts if attempt]


@pytest.mark.parametrize("ended", [0, 2, POINTS - 2])
def test_an_interrupted_search_makes_no_more_points(search: Study, ended: int) -> None:
    queue = Queue(search, None, FAST)
    for attempt in taken(queue, ended):
        queue.finish(attempt, value(attempt.job))
    in_flight = taken(queue, 2)
    for attempt in in_flight:
        queue.give_up(attempt, "interrupted")
    later = Queue(search, None, FAST)
    serve(later, value)
    states = later.states()
    assert len(search.points_in(states)) == len(states) == POINTS
    assert [job.point for job in states][ended : ended + 2] == [attempt.job.point for attempt in in_flight]
    assert all(state.name == "finished" for state in states.values())


def test_no_point_is_drawn_while_one_that_was_given_up_is_not_enqueued(search: Study) -> None:
    queue = Queue(search, None, FAST)
    first, second = taken(queue, 2)
    queue.give_up(first, "interrupted")
    queue.fill()
    names = [(job, state.name) for job, state in queue.states().items()]
    assert names == [(first.job, "waiting"), (second.job, "running")], "as they were drawn"
    assert [attempt.job for attempt in taken(queue, 1)] == [first.job]


def test_control_an_uninterrupted_search(search: Study) -> None:
    queue = Queue(search, None, FAST)
    serve(queue, value)
    assert len(queue.states()) == POINTS
