"""`--logger`: the names it takes, and Lightning's CSV and TensorBoard loggers."""

import csv
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.jobs.plan import PlannedRun, run_words
from repro.records import loggers
from repro.records.loggers import check_shared_id, default_loggers, parse_loggers
from repro.records.record import RECORD
from repro.runs.recorder import Recorder
from repro.runs.run import run
from repro.runs.series_mirror import RunLogger, SeriesMirror
from tasks.pattern_generation.config import TASK
from tests.records.mirrored import SETTINGS, Raises, only_run


@pytest.mark.parametrize(
    ("text", "names"), [("csv", ("csv",)), ("none", ()), ("csv,wandb", ("csv", "wandb")), ("csv, csv", ("csv",))]
)
def test_names(text: str, names: tuple[str, ...]) -> None:
    assert parse_loggers(text) == names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "unknown logger ''"),
        ("wandbb", "did you mean wandb?"),
        ("none,csv", "none cannot be combined"),
    ],
)
def test_bad_names(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_loggers(text)


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loggers.NEEDS, "wandb", ("no_such_package",))
    assert default_loggers() == ()
    with pytest.raises(UserError, match="needs no_such_package, which is not installed"):
        parse_loggers("csv,wandb")
    monkeypatch.setitem(loggers.NEEDS, "wandb", ("json",))  # control
    assert default_loggers() == parse_loggers("wandb") == ("wandb",)


def test_one_id_for_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    monkeypatch.setitem(loggers.NEEDS, "wandb", ("json",))
    check_shared_id(1, None)
    for names in (None, ("csv", "wandb")):
        with pytest.raises(UserError, match="WANDB_RUN_ID names one W&B run, and 2 runs are to be trained"):
            check_shared_id(2, names)
    check_shared_id(2, ("csv",))
    check_shared_id(2, ())
    monkeypatch.setitem(loggers.NEEDS, "wandb", ("no_such_package",))
    check_shared_id(2, None)
    monkeypatch.setitem(loggers.NEEDS, "wandb", ("json",))
    monkeypatch.delenv("WANDB_RUN_ID")
    check_shared_id(2, None)


def test_reproduce_hands_them_on() -> None:
    job = PlannedRun("pattern_generation", "e_prop_1", "smoke", 0, 1.0, 1.0, "nmse", Path("folder"), False)
    assert run_words("cpu", ("wandb", "csv"))(job)[-2:] == ["--logger", "wandb,csv"]
    assert run_words("cpu", ())(job)[-2:] == ["--logger", "none"]
    assert "--logger" not in run_words("cpu")(job)


def test_a_bad_name_on_the_command_line_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "pattern_generation", "--variant", "e_prop_1", "--profile", "smoke", "--out", str(tmp_path / "out")]
    assert main([*words, "--logger", "wandbb"]) == 2
    assert "unknown logger 'wandbb'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def rows_of(run_folder: Path) -> list[dict[str, str]]:
    with (run_folder / "csv" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_file_has_the_series_and_the_record(mirrored: Path) -> None:
    *rows, last = rows_of(mirrored)
    assert [int(row["step"]) for row in rows] == list(range(1, 41))
    assert all(row["series/nmse"] and not row["nmse"] for row in rows)
    metrics = json.loads((mirrored / RECORD).read_text())["metrics"]
    assert {name: float(last[name]) for name in metrics} == metrics
    assert "config_hash: " in (mirrored / "csv" / "hparams.yaml").read_text()


def test_none_writes_nothing(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(TASK, "e_prop_1", "smoke", 0, {"iterations": "2"}, tmp_path, loggers=())
    assert not [name for name in ("wandb", "wandb-id", "csv", "tensorboard") if (only_run(tmp_path) / name).exists()]


def interrupted_and_resumed(out: Path, logger: str) -> Path:
    with pytest.raises(KeyboardInterrupt):
        run(TASK, "e_prop_1", "smoke", 0, SETTINGS, out, callbacks=[Raises(25)], loggers=(logger,))
    run(TASK, "e_prop_1", "smoke", 0, SETTINGS, out, loggers=(logger,))
    return only_run(out)


def test_the_csv_file_of_a_resumed_run_is_that_of_an_undisturbed_one(mirrored: Path, tmp_path: Path) -> None:
    assert rows_of(interrupted_and_resumed(tmp_path, "csv")) == rows_of(mirrored)


def test_the_tensorboard_file_of_a_resumed_run(mirrored: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="in the development lock: `make` installs it")
    from tensorboardX.proto.event_pb2 import Event

    folder = interrupted_and_resumed(tmp_path, "tensorboard")
    points: dict[str, list[tuple[int, float]]] = {}
    for path in sorted((folder / "tensorboard").glob("events.*")):
        data = path.read_bytes()
        while data:  # length, its checksum, event, its checksum
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[12 + length + 4 :]
            for value in event.summary.value:
                points.setdefault(value.tag, []).append((event.step, value.simple_value))
    expected = [(int(row["step"]), float(row["series/nmse"])) for row in rows_of(mirrored)[:-1]]
    np.testing.assert_allclose(sorted(points["series/nmse"]), expected)
    metrics = json.loads((folder / RECORD).read_text())["metrics"]
    assert {name: points[name][0][1] for name in metrics} == pytest.approx(metrics)


class Collects:
    """What a logger is sent."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.rows.append((step, metrics))


def iterate(mirror: SeriesMirror, iterations: range) -> None:
    """Training with a series that has a value every second iteration."""
    for iteration in iterations:
        mirror.recorder.add("loss", 1.0 / iteration)
        if iteration % 2 == 0:
            mirror.recorder.add("accuracy", float(iteration))
        mirror.on_train_batch_end(None, None, {"metrics": {"loss": 0}})


def test_a_series_that_is_not_of_each_iteration_keeps_its_iterations() -> None:
    expected = {2: 2.0, 4: 4.0, 6: 6.0}
    first, recorder = Collects(), Recorder()
    before = SeriesMirror(recorder, [RunLogger("test", first)])
    iterate(before, range(1, 5))
    state, series = before.state_dict(), recorder.state_dict()
    resumed = Recorder()
    resumed.load_state_dict(series)
    lacks_all, lacks_none = Collects(), Collects()
    after = SeriesMirror(resumed, [RunLogger("test", lacks_all), RunLogger("test", lacks_none, sent=7)])
    after.load_state_dict(state)
    after.on_fit_start(None, None)
    iterate(after, range(5, 8))
    assert [step for step, _ in lacks_all.rows] == list(range(1, 8))
    for sink, upto in ((first, 4), (lacks_all, 7)):
        sent = {step: row["series/accuracy"] for step, row in sink.rows if "series/accuracy" in row}
        assert sent == {step: value for step, value in expected.items() if step <= upto}
        assert [row["series/loss"] for _, row in sink.rows] == [1.0 / step for step in range(1, upto + 1)]
    assert lacks_none.rows == []


def test_control_without_its_state_the_iterations_are_not_known() -> None:
    recorder, sink = Recorder(), Collects()
    iterate(SeriesMirror(recorder, []), range(1, 5))
    resumed = SeriesMirror(recorder, [RunLogger("test", sink)])
    resumed.on_fit_start(None, None)
    assert [set(row) for _, row in sink.rows] == [{"series/loss"}] * 4
