"""`repro.open` and `repro show`: a run that is over, as objects and as text."""

import json
from pathlib import Path

import pytest
import torch

import repro
from repro.cli.main import main
from repro.errors import UserError
from repro.records import store
from repro.records.record import WEIGHTS
from repro.runs.run import run
from repro.runs.weights import weights_hash
from tasks import get_task


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a run of two tasks."""
    root = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        run(get_task("pattern_generation"), "e_prop_1", "smoke", 0, {"iterations": "3"}, root / "runs")
        run(get_task("copy_repeat"), "e_prop_3", "smoke", 0, {"iterations": "2"}, root / "runs")
    return root


@pytest.fixture(autouse=True)
def used(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROOT", results)


def folders(results: Path) -> list[Path]:
    return sorted((results / "runs").glob("*/*/seed-0"))


def test_a_run_as_objects(results: Path) -> None:
    for folder in folders(results):
        opened = repro.open(folder)
        assert weights_hash(opened.module) == opened.record.weights_sha256
        assert not opened.module.training
        assert len(opened.curves) == opened.config.iterations
        assert opened.curves["loss"].to_list() == opened.arrays["loss"].tolist()
        assert opened.curves.index[0] == 1


def test_the_module_is_the_trained_one(results: Path) -> None:
    _, folder = folders(results)
    opened = repro.open(folder)
    untrained = opened.task.load("module")(opened.config, 0)
    pairs = list(zip(opened.module.parameters(), untrained.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_a_run_by_its_name(results: Path) -> None:
    name = folders(results)[0].relative_to(results / "runs")
    assert repro.open(str(name)).folder == folders(results)[0].resolve()
    with pytest.raises(UserError, match="no run nothing; RUN is its folder or TASK/VARIANT-HASH/seed-N"):
        repro.open("nothing")


def test_weights_that_were_not_kept_or_were_changed(results: Path) -> None:
    folder = folders(results)[0]
    whole = (folder / WEIGHTS).read_bytes()
    try:
        (folder / WEIGHTS).write_bytes(whole[:-1] + b"?")
        with pytest.raises(UserError, match="is not the file that its record was written with"):
            _ = repro.open(folder).module
        (folder / WEIGHTS).unlink()
        with pytest.raises(UserError, match="they were not kept"):
            _ = repro.open(folder).module
        assert len(repro.open(folder).curves) == 2  # the rest can be read
    finally:
        (folder / WEIGHTS).write_bytes(whole)


def test_show(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders(results)[1]
    assert main(["show", str(folder)]) == 0
    text = capsys.readouterr().out
    for part in ("pattern_generation e_prop_1 seed 0", "finished: profile smoke", "paper: ", "assumed: ", "history:"):
        assert part in text
    assert main(["show", str(folder), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["config"]["iterations"]["value"] == 3 and data["config"]["iterations"]["source"] == "paper"
    assert [event["event"] for event in data["history"]] == ["started", "finished"]
    assert main(["show", "nothing"]) == 2


def test_runs_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["task"], row["status"], row["iteration"]) for row in rows] == [
        ("copy_repeat", "finished", None),
        ("pattern_generation", "finished", None),
    ]
    assert rows[0]["metrics"]


def test_packed_and_taken_over(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "all.zip"
    assert main(["pack", str(results / "runs"), "-o", str(file)]) == 0
    assert "2 runs packed in" in capsys.readouterr().out
    monkeypatch.setattr(store, "ROOT", tmp_path)
    assert main(["import", str(file)]) == 0
    assert "2 runs taken over" in capsys.readouterr().out
    assert main(["import", str(file)]) == 0
    assert "0 runs taken over" in capsys.readouterr().out
    for folder in folders(results):
        other = repro.open(folder.relative_to(results / "runs"))
        assert other.folder.is_relative_to(tmp_path)
        assert weights_hash(other.module) == other.record.weights_sha256
