"""Study files made of a good one and a change, and runs that take no time."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.jobs.queue import Timing
from repro.records import store
from repro.studies.study import Study
from repro.studies.studyfile import load

FAST = Timing(renew=0.1, stale=0.6, poll=0.05)
GOOD = """\
about = "a try"
task = "pattern_generation"
variants = "e_prop_1"
profile = "smoke"
metric = "nmse"
seeds = [100, 101]
best = 1
best_seeds = [200]

[grid]
learning_rate = [0.001, 0.003]
v_th = [0.4, 0.61, 0.9]
"""
SEARCH = """\
about = "a try"
task = "pattern_generation"
variants = "e_prop_1"
profile = "smoke"
metric = "nmse"
seeds = [100, 101]

[ranges]
v_th = {low = 0.2, high = 2.0, log = true}
learning_rate = {low = 1e-4, high = 1e-2, log = true}

[sampler]
name = "tpe"
points = 12
"""


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder that everything in this process and its children uses."""
    root = tmp_path / "results"
    monkeypatch.setattr(store, "ROOT", root)
    monkeypatch.setenv("REPRO_RESULTS", str(root))
    return root


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a study file."""

    def written(text: str = GOOD) -> Path:
        path = tmp_path / "a_try.toml"
        path.write_text(text)
        return path

    return written


@pytest.fixture
def study(results: Path, write: Callable[[], Path]) -> Study:
    """Six points, two seeds, the best again with a third: thirteen runs."""
    return load(write())


def changed(study: Any, **changes: object) -> Any:
    """A study, or a part of one, with other values."""
    return dataclasses.replace(study, **changes)
