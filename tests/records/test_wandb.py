"""W&B mirrors the record: its numbers, one run however often it is killed, and how it ended."""

import json
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest

from repro.errors import RunFailed, Terminated
from repro.records import wandb_run
from repro.records.record import ARRAYS, RECORD
from repro.runs.run import run
from tasks.pattern_generation.config import TASK
from tests.records.mirrored import SETTINGS, Raises, only_run, part_folders, parts_of, train_mirrored
from tests.runs.asking import Asking

DEAD = {"iterations": "20", "v_th": "1000"}


def train(out: Path, settings: dict[str, str] = SETTINGS, **options: object) -> object:
    return run(TASK, "e_prop_1", "smoke", 0, settings, out, **options)


def steps(run_folder: Path) -> list[int]:
    """The iterations of the history, of all parts."""
    return [row["_step"] for part in parts_of(run_folder) for row in part.history]


def test_the_summary_has_the_numbers_of_the_record(mirrored: Path) -> None:
    (part,) = parts_of(mirrored)
    metrics = json.loads((mirrored / RECORD).read_text())["metrics"]
    assert len(metrics) >= 3
    assert {name: part.summary[name] for name in metrics} == metrics
    assert (part.summary["status"], part.summary["reason"], part.exit_code) == ("finished", "", 0)
    # control: the last value of the series is another number, under another name
    assert part.summary["series/nmse"] != metrics["nmse"]


def test_the_history_has_each_iteration_of_each_series(mirrored: Path) -> None:
    (part,) = parts_of(mirrored)
    with np.load(mirrored / ARRAYS) as arrays:
        series = {name: values for name, values in arrays.items() if values.shape == (40,)}
    assert set(series) >= {"loss", "nmse", "rate_hz"}
    assert [row["iteration"] for row in part.history] == list(range(1, 41))
    for name, values in series.items():
        np.testing.assert_array_equal(np.float32([row[f"series/{name}"] for row in part.history]), values)
    known = {"iteration", "_step", "_runtime", "_timestamp"}
    assert {key for row in part.history for key in row} == known | {f"series/{name}" for name in series}


def test_the_config_says_which_run_it_is(mirrored: Path) -> None:
    (part,) = parts_of(mirrored)
    record = json.loads((mirrored / RECORD).read_text())
    expected = {name: record[name] for name in ("task", "variant", "profile", "seed", "config_hash")}
    assert part.config | expected | record["config"] == part.config
    assert part.config["commit"] == record["git_commit"]
    assert (part.project, part.job_type) == ("eprop-repro", "train")
    assert part.group == "fig1/pattern_generation/e_prop_1/smoke"
    assert set(part.tags) == {"fig1", "pattern_generation", "e_prop_1", "smoke"}


def test_the_files_of_the_run_are_the_record_and_its_arrays(mirrored: Path) -> None:
    (folder,) = part_folders(mirrored)
    for name in (RECORD, ARRAYS):
        assert (folder / "files" / name).read_bytes() == (mirrored / name).read_bytes()
        assert not (folder / "files" / name).is_symlink()


def killed(processes: ForkServerContext, out: Path, *moments: str) -> None:
    for moment in moments:
        process = processes.Process(target=train_mirrored, args=(out, SETTINGS, moment))
        process.start()
        process.join(500)
        assert process.exitcode == -signal.SIGKILL


def test_a_run_killed_twice_is_one_run(
    processes: ForkServerContext, offline: pytest.MonkeyPatch, mirrored: Path, tmp_path: Path
) -> None:
    killed(processes, tmp_path, "before the first checkpoint", "in the middle")
    train(tmp_path)
    folder = only_run(tmp_path)
    parts = parts_of(folder)
    assert 1 <= len(parts) <= 3  # what a process had not written yet when it was killed is gone
    assert all(path.name.endswith(parts[-1].run_id) for path in part_folders(folder))
    assert [part.exit_code for part in parts] == [None] * (len(parts) - 1) + [0]
    assert sorted(steps(folder)) == list(range(1, 41))  # each once
    with np.load(mirrored / ARRAYS) as arrays:
        losses = {row["_step"]: row["series/loss"] for part in parts for row in part.history}
        np.testing.assert_array_equal(np.float32([losses[step] for step in range(1, 41)]), arrays["loss"])


def test_control_a_resumed_run_that_does_not_look_sends_points_twice(
    offline: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[Raises(21)])
    offline.setattr(wandb_run, "last_iteration", lambda run: 0)
    train(tmp_path)
    assert len(steps(only_run(tmp_path))) == 21 + 40


def test_an_interrupted_run_is_not_finished(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[Raises(1)])  # no checkpoint yet
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[Raises(21)])
    train(tmp_path, minutes=0)
    train(tmp_path)
    ends = [(part.summary["status"], part.summary["reason"], part.exit_code) for part in parts_of(only_run(tmp_path))]
    assert ends[0] == ("interrupted", "before the first checkpoint", 1)
    assert ends[1] == ends[2] == ("unfinished", "20 of 40 iterations", 75)
    assert ends[3] == ("finished", "", 0)
    assert sorted(steps(only_run(tmp_path))) == list(range(1, 41))


def test_a_run_that_was_asked_to_end_is_unfinished(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Terminated):
        train(tmp_path, callbacks=[Asking(signal.SIGTERM)])
    (part,) = parts_of(only_run(tmp_path))
    assert (part.summary["status"], part.summary["reason"], part.exit_code) == ("unfinished", "8 of 40 iterations", 75)


def test_a_dead_network_is_failed_with_its_reason(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for _ in range(2):  # trained again, it is another run: this one has failed
        with pytest.raises(RunFailed):
            train(tmp_path, DEAD)
    first, second = parts_of(only_run(tmp_path))
    assert first.run_id != second.run_id
    for part in (first, second):
        assert (part.exit_code, part.summary["status"]) == (1, "failed")
        assert part.summary["reason"].startswith("dead network: no spike in")
        assert "nmse" not in part.summary


def test_a_process_that_is_asked_to_end_is_not_finished(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[Raises(21, SystemExit)])  # what Lightning makes of SIGTERM
    (part,) = parts_of(only_run(tmp_path))
    assert (part.exit_code, part.summary["status"]) == (75, "unfinished")


def test_a_crash_is_failed(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        train(tmp_path, callbacks=[Raises(2, ZeroDivisionError)])
    (part,) = parts_of(only_run(tmp_path))
    assert (part.exit_code, part.summary["status"], part.summary["reason"]) == (1, "failed", "ZeroDivisionError")


USERS = {
    "WANDB_PROJECT": ("project", "mine"),
    "WANDB_ENTITY": ("entity", "us"),
    "WANDB_RUN_GROUP": ("group", "our group"),
    "WANDB_NAME": ("name", "our name"),
    "WANDB_JOB_TYPE": ("job_type", "our job"),
    "WANDB_RUN_ID": ("run_id", "our-id"),
}
OURS = {"project": "p", "group": "g", "name": "n", "job_type": "j", "id": "i", "tags": ["t"], "resume": "allow"}


@pytest.mark.parametrize("given", [True, False], ids=["variables", "control: none"])
def test_the_users_variables_win(offline: pytest.MonkeyPatch, tmp_path: Path, given: bool) -> None:
    if given:
        for variable, (_, value) in USERS.items():
            offline.setenv(variable, value)
        offline.setenv("WANDB_TAGS", "a,b")
        offline.setenv("WANDB_DIR", str(tmp_path / "there"))
        (tmp_path / "there").mkdir()
    wandb_run.finish(wandb_run.start(tmp_path, **OURS), 0)
    (part,) = parts_of(tmp_path / "there" if given else tmp_path)
    chosen = {field: getattr(part, field) for field, _ in USERS.values()}
    if given:
        assert chosen == dict(USERS.values())
        assert set(part.tags) == {"a", "b"}
    else:
        ours = {"project": "p", "entity": "", "group": "g", "name": "n", "job_type": "j", "run_id": "i"}
        assert (chosen, part.tags) == (ours, ("t",))


def test_two_results_folders_do_not_share_a_run(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    one.mkdir()
    other.mkdir()
    first = wandb_run.run_id(one, "task-variant-0")
    assert first == wandb_run.run_id(one, "task-variant-0") != wandb_run.run_id(other, "task-variant-0")
    assert first.startswith("task-variant-0-")
    assert wandb_run.run_id(one, "task-variant-1").startswith("task-variant-1-")  # copied to another seed's folder
