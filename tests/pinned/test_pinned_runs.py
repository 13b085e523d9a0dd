"""Every pinned run, trained again, gives the pinned loss curve, other series, final metrics and gradient norms."""

import importlib.util
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks import TASKS, get_task
from tests.pinned.cases import Case, cases
from tests.pinned.make import path_of
from tests.pinned.runs import Pinned, Tolerance, differences, measure, workplace

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="espeak-ng is not installed: the extra `speech`"
)


def parameters() -> list[Any]:
    return [
        pytest.param(case, id=f"{task} {case.name}", marks=[needs_espeak] if task == "speech" else [])
        for task in TASKS
        for case in cases(task)
    ]


def pinned_of(task: str) -> dict[str, Pinned]:
    pinned: dict[str, Pinned] = json.loads(path_of(task).read_text(encoding="utf-8"))
    return pinned


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with workplace(tmp_path_factory.mktemp("pinned")) as folder:
        yield folder


@pytest.mark.parametrize("case", parameters())
@pytest.mark.filterwarnings("ignore")
def test_a_pinned_run_gives_the_same_numbers(case: Case, root: Path) -> None:
    lines = differences(pinned_of(case.task)[case.name], measure(case, root))
    assert not lines, "\n".join([f"{case.task} {case.name} differs from its pin:", *lines])


@pytest.mark.parametrize("task", TASKS)
def test_every_variant_is_pinned_and_nothing_else(task: str) -> None:
    assert list(pinned_of(task)) == [case.name for case in cases(task)]
    assert set(get_task(task).variants) <= set(pinned_of(task))


TWINS = {"evaluator=online", "algorithm=autograd", "decoding"}  # what trains like another run of the task


@pytest.mark.parametrize("task", [task for task in TASKS if task != "theory"])
def test_two_pinned_runs_of_a_task_differ_by_more_than_the_tolerance(task: str) -> None:
    """So that a variant that trains like another one is seen."""
    runs = pinned_of(task)
    curves = {name: run["series"]["loss"] for name, run in runs.items() if not any(twin in name for twin in TWINS)}
    for one, other in itertools.combinations(curves, 2):
        a, b = (Pinned(config={}, series={"loss": curves[name]}, metrics={}) for name in (one, other))
        assert differences(a, b, Tolerance(relative=1e-4)), f"{one} and {other}"


def test_the_comparison_names_the_first_iteration_that_differs_and_both_values() -> None:
    pinned = {"config": {"n": 3}, "series": {"loss": [4.0, 2.0, 1.0]}, "metrics": {"mse": 1.0}, "gradient_norms": [5.0]}
    within = {
        "config": {"n": 3, "new": 1},
        "series": {"loss": [4.0, 2.00001, 1.0]},
        "metrics": {"mse": 1.0},
        "gradient_norms": [5.0],
    }
    assert differences(pinned, within) == []
    beyond = {
        "config": {"n": 4},
        "series": {"loss": [4.0, 2.00003, 9.0]},
        "metrics": {"mse": 1.1},
        "gradient_norms": [5.1, 1.0],
    }
    assert differences(pinned, beyond) == [
        "config n: pinned 3, now 4",
        "series loss, iteration 2: pinned 2.0, now 2.00003",
        "metric mse: pinned 1.0, now 1.1",
        "gradient norm 1: pinned 5.0, now 5.1",
    ]
    missing = {"config": {"n": 3}, "series": {}, "metrics": {"mse": 1.0}, "gradient_norms": []}
    assert differences(pinned, missing) == [
        "series loss: pinned, now missing",
        "gradient norms: pinned 1, now 0",
    ]
