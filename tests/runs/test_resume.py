"""A run killed, interrupted or stopped at any moment ends where an undisturbed one ends, to the last bit."""

import json
import os
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from repro.errors import UserError
from repro.records.record import ARRAYS, JOURNAL, RECORD, RunRecord, read_arrays, read_record
from repro.runs.checkpoints import LAST
from repro.runs.recorder import Recorder
from repro.runs.run import run
from tasks import get_task
from tasks.pattern_generation.config import TASK
from tests.runs.workers import MOMENTS, train

SETTINGS = {"iterations": "40"}
# What may differ between two equal runs.
CAMPAIGN = ("started", "wall_s", "git_commit", "git_dirty", "threads", "parts", "extras", "record_sha256")


def content(record: RunRecord) -> dict[str, object]:
    """A record without the time and place of its making."""
    return {key: value for key, value in vars(record).items() if key not in CAMPAIGN}


def events(folder: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (folder / JOURNAL).read_text().splitlines()]


def only_run(out: Path) -> Path:
    (folder,) = out.glob("*/*/seed-*")
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path_factory.mktemp("undisturbed"))


# Iterations in the last checkpoint when a run with one every second iteration is killed; 0: there is none.
SAVED = {
    "before the first checkpoint": 0,
    "in the middle": 22,
    "in the last iteration": 38,
    "in half a checkpoint": 2,
    "with a checkpoint not yet in place": 2,
    "before the record": 40,
    "with arrays and no record": 40,
}


@pytest.mark.parametrize("moments", [*((m,) for m in MOMENTS), tuple(MOMENTS)], ids=[*MOMENTS, "at all of them"])
def test_a_killed_run_resumes_to_the_same_bits(
    processes: ForkServerContext, undisturbed: RunRecord, tmp_path: Path, moments: tuple[str, ...]
) -> None:
    for moment in moments:
        process = processes.Process(target=train, args=(tmp_path, SETTINGS, moment))
        process.start()
        process.join(500)
        assert process.exitcode == -signal.SIGKILL, moment
        assert not (only_run(tmp_path) / RECORD).exists()
    had_checkpoint = (only_run(tmp_path) / LAST).exists()
    record = run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path)
    assert content(record) == content(undisturbed)
    assert len(read_arrays(only_run(tmp_path), record)["loss"]) == 40
    assert events(only_run(tmp_path))[-2:] == ["resumed" if had_checkpoint else "started", "finished"]
    assert not list(only_run(tmp_path).glob("*.part"))
    saved = [22, 38, 40] if len(moments) > 1 else [SAVED[moments[0]]] if SAVED[moments[0]] else []
    assert [part.iterations for part in record.parts] == [*saved, 40]  # what came after a checkpoint was lost
    assert record.wall_s == pytest.approx(sum(part.wall_s for part in record.parts), abs=0.01)
    assert min(part.wall_s for part in record.parts) > 0


def test_killed_from_outside(processes: ForkServerContext, tmp_path: Path) -> None:
    settings = {"iterations": "400"}
    process = processes.Process(target=train, args=(tmp_path, settings))
    process.start()
    while not list(tmp_path.glob(f"*/*/*/{LAST}")) and process.is_alive():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join(500)
    assert process.exitcode == -signal.SIGKILL
    record = run(TASK, "e_prop_1", "smoke", 0, settings, tmp_path)
    assert events(only_run(tmp_path)) == ["started", "resumed", "finished"]
    assert content(record) == content(run(TASK, "e_prop_1", "smoke", 0, settings, tmp_path / "again"))


class Interrupt(pl.Callback):
    """Ctrl-C at the end of an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        (recorder,) = (callback for callback in trainer.callbacks if isinstance(callback, Recorder))
        if recorder.done == self.iteration:
            raise KeyboardInterrupt


def is_unfinished(folder: Path, iterations: int, whole: RunRecord, arrays: dict[str, np.ndarray]) -> bool:
    """Whether a folder's record is of the first iterations of a run, and its checkpoint is there."""
    record = read_record(folder)
    as_expected = (record.status, record.reason) == ("unfinished", f"{iterations} of 40 iterations")
    series = read_arrays(folder, record)
    first = all(np.array_equal(values, arrays[name][:iterations]) for name, values in series.items())
    last = record.metrics["nmse"] == pytest.approx(arrays["nmse"][:iterations][-whole.config["final_trials"] :].mean())
    return as_expected and first and last and "loss" in series and (folder / LAST).exists()


def go_on(out: Path, **options: float) -> RunRecord:
    return run(TASK, "e_prop_1", "smoke", 0, SETTINGS, out, **options)


@pytest.fixture(scope="module")
def arrays(undisturbed: RunRecord, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The series of the undisturbed run."""
    return read_arrays(only_run(next(tmp_path_factory.getbasetemp().glob("undisturbed*"))), undisturbed)


def test_an_interrupted_run_is_recorded_as_unfinished_and_resumes(
    undisturbed: RunRecord, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for iteration in (23, 31):  # a checkpoint every second one
        with pytest.raises(KeyboardInterrupt):
            run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path, callbacks=[Interrupt(iteration)])
        assert is_unfinished(only_run(tmp_path), iteration - 1, undisturbed, arrays)
    assert not is_unfinished(only_run(tmp_path), 22, undisturbed, arrays)  # control
    assert content(go_on(tmp_path)) == content(undisturbed)
    assert events(only_run(tmp_path)) == ["started", "unfinished", "resumed", "unfinished", "resumed", "finished"]


def test_interrupted_before_the_first_checkpoint_a_run_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path, callbacks=[Interrupt(1)])
    assert not (only_run(tmp_path) / RECORD).exists()


def test_minutes_end_with_an_iteration_and_a_checkpoint(
    undisturbed: RunRecord, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for _ in range(2):  # the second time they are over before anything is trained
        assert go_on(tmp_path, minutes=1e-9).status == "unfinished"
        assert is_unfinished(only_run(tmp_path), 1, undisturbed, arrays)
    assert content(go_on(tmp_path, minutes=60)) == content(undisturbed)
    assert content(go_on(tmp_path, minutes=0)) == content(undisturbed)  # finished: nothing is recorded anew


def test_a_killed_run_is_recorded_by_0_minutes(
    processes: ForkServerContext, undisturbed: RunRecord, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="--minutes 0: there is no checkpoint in"):
        go_on(tmp_path, minutes=0)
    assert not list(tmp_path.iterdir())
    process = processes.Process(target=train, args=(tmp_path, SETTINGS, "in the middle"))
    process.start()
    process.join(500)
    go_on(tmp_path, minutes=0)
    assert is_unfinished(only_run(tmp_path), 22, undisturbed, arrays)
    assert content(go_on(tmp_path)) == content(undisturbed)


def test_what_is_measured_at_one_go_has_no_minutes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave --minutes out"):
        run(get_task("theory"), "measured", "smoke", 0, out=tmp_path, minutes=1)
    assert not list(tmp_path.iterdir())


def test_a_request_to_end_is_an_interrupt(processes: ForkServerContext, tmp_path: Path) -> None:
    settings = {"iterations": "4000"}
    process = processes.Process(target=train, args=(tmp_path, settings))
    process.start()
    while not list(tmp_path.glob(f"*/*/*/{LAST}")) and process.is_alive():
        time.sleep(0.01)
    process.terminate()
    process.join(500)
    assert process.exitcode == 70
    assert read_record(only_run(tmp_path)).reason.endswith(" of 4000 iterations")
    assert events(only_run(tmp_path)) == ["started", "unfinished"]


@pytest.mark.parametrize("sown", [0, 12345])
def test_two_runs_of_one_seed_are_equal_whatever_the_global_random_numbers(
    undisturbed: RunRecord, tmp_path: Path, sown: int
) -> None:
    torch.manual_seed(sown)
    state = torch.get_rng_state()
    assert content(run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path)) == content(undisturbed)
    assert torch.equal(torch.get_rng_state(), state)


def test_control_other_seeds_and_variants_differ(undisturbed: RunRecord, tmp_path: Path) -> None:
    seeds = {run(TASK, "e_prop_1", "smoke", seed, SETTINGS, tmp_path).weights_sha256 for seed in (1, 2)}
    variants = {run(TASK, v, "smoke", 0, SETTINGS, tmp_path).weights_sha256 for v in TASK.variants}
    assert len(seeds | variants) == 2 + len(TASK.variants)
    assert undisturbed.weights_sha256 in variants


def test_a_finished_run_is_read_and_not_trained_again(tmp_path: Path) -> None:
    first = run(TASK, "e_prop_1", "smoke", 0, None, tmp_path)
    folder = only_run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run(TASK, "e_prop_1", "smoke", 0, None, tmp_path) == first == read_record(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    (folder / RECORD).unlink()  # control: without its record it is trained again
    (folder / LAST).unlink()
    run(TASK, "e_prop_1", "smoke", 0, None, tmp_path)
    assert (folder / ARRAYS).stat().st_mtime_ns != before[folder / ARRAYS]
    assert events(folder) == ["started", "finished"] * 2


def test_the_online_evaluator_ends_where_the_factored_one_does(undisturbed: RunRecord, tmp_path: Path) -> None:
    settings = {"iterations": "5"}
    factored = run(TASK, "e_prop_1", "smoke", 0, settings, tmp_path)
    online = run(TASK, "e_prop_1", "smoke", 0, settings | {"evaluator": "online"}, tmp_path)
    a, b = (read_arrays(next(tmp_path.glob(f"*/*{r.config_hash}/*")), r) for r in (factored, online))
    assert abs(a["loss"] - b["loss"]).max() < 1e-5
    assert a["loss"].std() > 1e-4  # control: it learns
    assert factored.weights_sha256 != online.weights_sha256  # control: these are two computations
