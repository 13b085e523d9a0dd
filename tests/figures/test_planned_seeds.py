"""Figures of accepted records show the runs that the verdicts rest on: those of planned seeds."""

import dataclasses
from pathlib import Path

import pytest

from paper_figures import table
from paper_figures.table import gather
from repro.claims.criteria import SeedPlan
from repro.records import store
from repro.records.sums import SUMS, sums_of, sums_text
from repro.runs.config import config_hash
from repro.runs.registry import get_task
from tests.records.made_up import made_run

TASK = get_task("pattern_generation")


def runs(root: Path, variant: str, seeds: range, device: str = "cpu", profile: str = "paper") -> None:
    config = TASK.resolve(variant, profile)
    fields = {"task": TASK.name, "variant": variant, "config": dataclasses.asdict(config), "profile": profile}
    for seed in seeds:
        made_run(root, seed, **fields, config_hash=config_hash(config), device=device, metrics={"nmse": 0.1})


def shown(where: Path | str, variant: str) -> list[int]:
    rows = gather(TASK, where).runs
    return sorted(int(seed) for seed in rows.seed[rows.variant == variant])


@pytest.fixture
def accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(table, "plan_of", lambda task: SeedPlan(4, 6, "made up", "cpu"))
    folder = tmp_path / "accepted"
    runs(folder, "bptt", range(6))
    runs(folder, "bptt", range(6, 7), device="cuda")
    runs(folder, "e_prop_1", range(2))
    (folder / SUMS).write_bytes(sums_text(sums_of(folder)))
    return folder


def test_planned_seeds_where_there_are_any(accepted: Path) -> None:
    assert shown("accepted", "bptt") == shown(accepted, "bptt") == [4, 5]
    assert shown("accepted", "e_prop_1") == [0, 1], "a variant without planned runs shows what there is"


def test_a_run_that_was_not_planned_hides_no_planned_one(accepted: Path) -> None:
    """Runs of two lengths count; the longer, which is named first, was made on a GPU."""
    task = get_task("store_recall")
    for device, iterations in (("cuda", "2000"), ("cpu", "500")):
        config = task.resolve("bptt", "paper", {"iterations": iterations})
        fields = {"task": task.name, "variant": "bptt", "config": dataclasses.asdict(config), "profile": "paper"}
        fields |= {"config_hash": config_hash(config), "metrics": {"iterations": 40.0}, "device": device}
        made_run(accepted, 4, **fields)
    (accepted / SUMS).write_bytes(sums_text(sums_of(accepted)))
    assert list(gather(task, "accepted").runs.device) == ["cpu"]
    assert list(gather(task, accepted.parent / "accepted").runs.device) == ["cpu"]
    accepted.rename(accepted.with_name("runs"))
    assert list(gather(task, "runs").runs.device) == ["cuda"]  # control: without a plan the longest counts


def test_your_own_runs_are_all_shown(accepted: Path) -> None:
    accepted.rename(accepted.with_name("runs"))
    assert shown("runs", "bptt") == [0, 1, 2, 3, 4, 5, 6]


def test_without_a_plan_all_are_shown(accepted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "plan_of", lambda task: None)
    assert shown("accepted", "bptt") == [0, 1, 2, 3, 4, 5, 6]


def test_smaller_runs_have_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(table, "plan_of", lambda task: SeedPlan(1, 1, "made up"))
    runs(tmp_path / "accepted", "bptt", range(3), profile="smoke")
    (tmp_path / "accepted" / SUMS).write_bytes(sums_text(sums_of(tmp_path / "accepted")))
    assert shown("accepted", "bptt") == [0, 1, 2]
