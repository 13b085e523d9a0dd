import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import repro
from repro.errors import UserError
from repro.records import store
from repro.records.arrays import pack_arrays
from repro.records.frames import CURVE_TYPES, TYPES, load, load_curves
from repro.records.record import Part, RunRecord, write_record


def write(
    root: Path, seed: int, arrays: Mapping[str, Any], metrics: Mapping[str, float], config: Mapping[str, Any],
    task: str = "toy", **fields: Any,
) -> None:  # fmt: skip
    data = pack_arrays({name: np.asarray(values) for name, values in arrays.items()})
    known: dict[str, Any] = {
        "task": task, "variant": "a", "profile": "quick", "seed": seed, "config": config, "config_hash": "0badcafe",
        "status": "finished", "reason": "", "metrics": metrics, "arrays_sha256": hashlib.sha256(data).hexdigest(),
        "weights_sha256": "f" * 64, "git_commit": "c0ffee", "git_dirty": False,
        "versions": {"torch": "2.11.0", "numpy": "2.4.6"}, "device": "cpu", "machine": "a CPU", "threads": 2,
        "started": "2026-01-01T00:00:00+00:00", "wall_s": 11.0,
    }  # fmt: skip
    folder = store.run_folder(task, "a", "0badcafe", seed, root)
    folder.mkdir(parents=True)
    write_record(folder, RunRecord(**known | fields), data)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A finished run with a curve of three values, and a failed one with a curve of one and without metrics."""
    write(tmp_path, 0, {"nmse": [3.0, 2.0, 1.0], "kernel": np.zeros((2, 2))}, {"nmse": 1.0}, {"n": 4, "rule": "bptt"})
    write(tmp_path, 1, {"nmse": [5.0]}, {}, {"n": 5, "rule": "eprop", "new": 0.5}, profile="paper", status="failed")
    return tmp_path


def test_a_row_a_run(two: Path) -> None:
    frame = load(two)
    assert [*frame.columns] == [*TYPES, "nmse"]
    first, second = (row for _, row in frame.iterrows())
    assert (first.profile, second.profile) == ("quick", "paper") and (first.status, second.status) == (
        "finished",
        "failed",
    )
    assert (first.device, first.threads, first.git_commit, first.git_dirty) == ("cpu", 2, "c0ffee", False)
    assert first.versions == "numpy 2.4.6, torch 2.11.0" and first.weights_sha256 == "f" * 64
    assert first.nmse == 1 and np.isnan(second.nmse) and Path(first.folder).name == "seed-0"


def test_a_run_in_parts_names_all_of_them(two: Path) -> None:
    one: dict[str, Any] = {"started": "2026-01-01T00:00:00+00:00", "wall_s": 1.0, "iterations": 1, "threads": 2}
    one |= {"device": "cpu", "machine": "a CPU", "git_commit": "c0ffee", "git_dirty": False}
    parts = [Part(**one), Part(**one | {"device": "cuda", "machine": "a GPU"}), Part(**one)]
    write(two, 2, {}, {}, {}, parts=tuple(parts), device="cpu")
    write(two, 3, {}, {}, {}, parts=(parts[0], Part(**one | {"machine": ""})))
    frame = load(two)
    assert frame.machine.tolist() == ["a CPU", "a CPU", "a CPU + a GPU", ""]
    assert frame.device.tolist() == ["cpu", "cpu", "cpu + cuda", "cpu"]
    assert set(frame.git_commit) == {"c0ffee"}


def test_types_do_not_depend_on_the_rows(two: Path) -> None:
    some, none = load(two), load(two, "absent")
    assert len(none) == 0 and [*none.columns] == [*TYPES]
    assert none.dtypes.to_dict() == some.dtypes[[*TYPES]].to_dict()
    assert {name: str(kind) for name, kind in some.dtypes.items()} == TYPES | {"nmse": "float64"}


def test_config_keys_become_columns_on_request(two: Path) -> None:
    assert not any(name.startswith("config.") for name in load(two))
    frame = load(two, config=("n", "new"))
    assert frame["config.n"].tolist() == [4, 5] and frame["config.n"].dtype == "int64"
    assert frame["config.new"].tolist()[1] == 0.5 and frame["config.new"].isna().tolist() == [True, False]
    assert "config.rule" not in frame
    assert load(two, config="rule")["config.rule"].tolist() == ["bptt", "eprop"]
    assert {"config.n", "config.rule", "config.new"} <= {*load(two, config="all")}


def test_a_config_key_that_no_record_has_is_refused(two: Path) -> None:
    with pytest.raises(UserError, match="unknown config key 'ruel'; did you mean rule\\? known: n, rule, new"):
        load(two, config=("ruel",))


def test_curves_have_the_length_of_their_runs(two: Path) -> None:
    frame = load_curves(two, "nmse")
    assert [*frame.columns] == [*CURVE_TYPES, "nmse"]
    assert [*zip(frame.seed, frame.profile, frame.iteration, frame.nmse, strict=True)] == [
        (0, "quick", 1, 3.0), (0, "quick", 2, 2.0), (0, "quick", 3, 1.0), (1, "paper", 1, 5.0),
    ]  # fmt: skip
    none = load_curves(two, "nmse", "absent")
    assert len(none) == 0 and none.dtypes.to_dict() == frame.dtypes.to_dict()


@pytest.mark.parametrize(
    ("series", "sentence"),
    [("mse", "unknown series 'mse'.*did you mean nmse.*known: nmse$"), ("kernel", "array of 2 x 2, not a curve")],
)
def test_what_is_no_series_is_refused(two: Path, series: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_curves(two, series)


def test_a_run_without_the_series_is_left_out(two: Path) -> None:
    write(two, 2, {"mse": [1.0]}, {}, {}, task="other")
    assert set(load_curves(two, "nmse").task) == {"toy"} and set(load_curves(two, "mse").task) == {"other"}


def test_the_package_refuses_a_task_that_nobody_knows(two: Path) -> None:
    assert len(repro.load(two, "toy")) == 2  # recorded, not registered
    assert (
        len(repro.load(two, "store_recall")) == len(repro.load_curves(two, "nmse", "store_recall")) == 0
    )  # registered
    for function in (lambda: repro.load(two, "store_recal"), lambda: repro.load_curves(two, "nmse", "store_recal")):
        with pytest.raises(UserError, match="unknown task 'store_recal'; did you mean store_recall"):
            function()


def test_the_package_passes_its_arguments_on(two: Path) -> None:
    assert repro.load(two, config="all").equals(load(two, config="all"))
    assert repro.load_curves(two, "nmse", "toy").equals(load_curves(two, "nmse"))


def test_the_runs_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    study = tmp_path / "studies" / "a_search"
    write(study / "runs", 0, {}, {"nmse": 1.0}, {"n": 4})
    assert [len(load(where)) for where in ("a_search", study, study / "runs", "runs")] == [1, 1, 1, 0]
    with pytest.raises(UserError, match="no folder another; --records wants runs, accepted, the name of a study"):
        load("another")
