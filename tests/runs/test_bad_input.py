"""What a new user gets wrong, and training that is lost: one sentence, nothing lost, nothing half-written."""

import errno
import os
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from repro.errors import RunFailed, UserError
from repro.records.record import ARRAYS, RECORD, read_arrays, read_record
from repro.runs.checkpoints import LAST, RUN_KEY
from repro.runs.run import run
from tasks.pattern_generation.config import TASK
from tests.runs.workers import train

SETTINGS = {"iterations": "40"}


def sentence(error: BaseException) -> str:
    """The message, if it is one line."""
    text = str(error)
    assert "\n" not in text
    return text


def smoke(out: Path, settings: dict[str, str] = SETTINGS, variant: str = "e_prop_1") -> Path:
    """Train, and return the folder."""
    run(TASK, variant, "smoke", 0, settings, out)
    (folder,) = out.glob("*/*/seed-0")
    return folder


def killed(processes: ForkServerContext, out: Path) -> Path:
    """A run that was killed in the middle and has a checkpoint."""
    process = processes.Process(target=train, args=(out, SETTINGS, "in the middle"))
    process.start()
    process.join(500)
    assert process.exitcode == -signal.SIGKILL
    (folder,) = out.glob("*/*/seed-0")
    return folder


LOST = {
    "infinite at once": ({"learning_rate": "1e38"}, "learning_rate"),
    "largest": ({"learning_rate": "3.4e38"}, "learning_rate"),
    "large": ({"learning_rate": "1e30", "decay_every": "1000", "iterations": "60"}, "learning_rate|dead network"),
    "large, online": ({"learning_rate": "1e30", "evaluator": "online"}, "learning_rate|dead network"),
    "infinite, online": ({"learning_rate": "3e38", "evaluator": "online"}, "learning_rate|dead network"),
    "large, BPTT": ({"learning_rate": "1e30", "algorithm": "bptt"}, "learning_rate|dead network"),
    "lost by the last update": ({"learning_rate": "3e38", "iterations": "1"}, "learning_rate"),
    "dead": ({"v_th": "1e6", "iterations": "25"}, "dead network: no spike .* try a lower v_th"),
}


@pytest.mark.parametrize(("settings", "reason"), LOST.values(), ids=LOST)
def test_training_that_is_lost_leaves_a_record_that_says_why(
    tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    with pytest.raises(RunFailed, match=reason) as caught:
        smoke(tmp_path, settings)
    (folder,) = tmp_path.glob("*/*/seed-0")
    record = read_record(folder)
    assert (record.status, record.metrics) == ("failed", {})
    assert record.reason in sentence(caught.value)
    read_arrays(folder, record)
    assert not list(folder.glob("*.part")) + list(folder.glob(LAST))
    with pytest.raises(RunFailed, match=reason):  # nothing of the lost run makes the second one better or worse
        smoke(tmp_path, settings)


def test_control_a_usual_learning_rate_finishes(tmp_path: Path) -> None:
    assert read_record(smoke(tmp_path, {"learning_rate": "0.003"})).status == "finished"


def test_a_lost_run_exits_with_1_and_bad_input_with_2(processes: ForkServerContext, tmp_path: Path) -> None:
    status = []
    for settings in (LOST["dead"][0], {"learning_rate": "fast"}, SETTINGS):
        process = processes.Process(target=train, args=(tmp_path, settings))
        process.start()
        process.join(500)
        status.append(process.exitcode)
    assert status == [1, 2, 0]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "another file of torch's"])
def test_a_damaged_checkpoint(processes: ForkServerContext, tmp_path: Path, damage: str) -> None:
    path = killed(processes, tmp_path) / LAST
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b""}.get(damage, b"not a checkpoint"))
    if damage.startswith("another"):
        torch.save(torch.zeros(3), path)
    broken = path.read_bytes()
    with pytest.raises(UserError, match=r"last.ckpt .*delete it to train from the start") as caught:
        smoke(tmp_path, SETTINGS)
    sentence(caught.value)
    assert path.read_bytes() == broken
    assert not (path.parent / RECORD).exists()
    path.write_bytes(whole)  # control
    assert read_record(smoke(tmp_path, SETTINGS)).status == "finished"


def test_a_checkpoint_of_another_run(processes: ForkServerContext, tmp_path: Path) -> None:
    path = killed(processes, tmp_path / "one") / LAST
    assert torch.load(path, weights_only=True)[RUN_KEY].startswith("pattern_generation e_prop_1 ")
    for settings, variant in ((SETTINGS, "e_prop_1_symmetric"), (SETTINGS | {"dampening": "0.2"}, "e_prop_1")):
        out = tmp_path / variant
        folder = smoke(out, settings, variant)
        finished = read_record(folder).weights_sha256
        (folder / RECORD).unlink()
        (folder / LAST).write_bytes(path.read_bytes())
        with pytest.raises(UserError, match=r"was written by .* seed 0, this run is .* delete it") as caught:
            smoke(out, settings, variant)
        sentence(caught.value)
        (folder / LAST).unlink()  # control
        smoke(out, settings, variant)
        assert read_record(folder).weights_sha256 == finished


@pytest.mark.parametrize(
    "text", ['{"task": "pattern_gen', "", "[]", '{"schema": 99}', '{"schema": 1}', '{"schema": 2}']
)
def test_a_damaged_record_is_never_overwritten(tmp_path: Path, text: str) -> None:
    folder = smoke(tmp_path)
    arrays = (folder / ARRAYS).read_bytes()
    (folder / RECORD).write_text(text)
    with pytest.raises(UserError, match="record.json (is not |has schema 99|is of schema 1,)") as caught:
        smoke(tmp_path)
    sentence(caught.value)
    assert (folder / RECORD).read_text() == text
    assert (folder / ARRAYS).read_bytes() == arrays


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/eprop")):
        with pytest.raises(UserError, match="cannot write results to .* choose another with --out") as caught:
            smoke(out)
        sentence(caught.value)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("number", "trains"), [(errno.ENOLCK, True), (errno.ENOTSUP, True), (errno.EWOULDBLOCK, False)]
)
def test_a_folder_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, trains: bool) -> None:
    """As some network folders are: the leases of a queue decide there who trains a run."""

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    if trains:
        assert read_record(smoke(tmp_path, {"iterations": "2"})).status == "finished"
    else:
        with pytest.raises(UserError, match="another process is training"):
            smoke(tmp_path, {"iterations": "2"})


def test_two_processes_on_one_run(processes: ForkServerContext, tmp_path: Path) -> None:
    process = processes.Process(target=train, args=(tmp_path, {"iterations": "100000"}))
    process.start()
    try:
        # The journal is made before its first line is written.
        while not any(j.stat().st_size for j in tmp_path.glob("*/*/seed-0/journal.jsonl")):
            assert process.is_alive()
        (folder,) = tmp_path.glob("*/*/seed-0")
        journal = (folder / "journal.jsonl").read_bytes()
        with pytest.raises(UserError, match="another process is training .* right now") as caught:
            smoke(tmp_path, {"iterations": "100000"})
        sentence(caught.value)
        assert (folder / "journal.jsonl").read_bytes() == journal
        smoke(tmp_path / "control")  # another folder is free
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join(500)


def test_a_gpu_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="torch finds no GPU here; use --device cpu"):
        run(TASK, "e_prop_1", "smoke", 0, None, tmp_path, device="cuda")
    assert not list(tmp_path.iterdir())
