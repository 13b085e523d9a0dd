"""What arrives on a W&B server: one run, each iteration once, the record's numbers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from repro.records import wandb_run
from repro.records.record import RECORD
from repro.runs.run import run
from tasks.pattern_generation.config import TASK
from tests.records.mirrored import SETTINGS, Raises, only_run, part_folders
from tests.records.wandb_server import Arrived, Server, listening


@pytest.fixture
def server(offline: pytest.MonkeyPatch) -> Iterator[Server]:
    with listening() as server:
        offline.setenv("WANDB_BASE_URL", server.url)
        offline.setenv("WANDB_API_KEY", "a" * 40)
        offline.setenv("WANDB_ERROR_REPORTING", "false")
        yield server


def interrupted_twice(out: Path) -> Path:
    for iteration in (15, 31):
        with pytest.raises(KeyboardInterrupt):
            run(TASK, "e_prop_1", "smoke", 0, SETTINGS, out, callbacks=[Raises(iteration)])
    run(TASK, "e_prop_1", "smoke", 0, SETTINGS, out)
    return only_run(out)


def send(folder: Path) -> None:
    command = [sys.executable, "-m", "wandb", "sync", "--yes", *map(str, part_folders(folder))]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=300)


def is_one_run(server: Server, folder: Path) -> None:
    (arrived,) = server.runs.values()
    assert arrived.steps == list(range(1, 41))
    assert arrived.exit_codes == [75, 75, 0]
    metrics = json.loads((folder / RECORD).read_text())["metrics"]
    assert {name: arrived.summary[name] for name in metrics} == metrics
    assert arrived.summary["status"] == "finished"


def test_online(server: Server, offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offline.delenv("WANDB_MODE")  # with an account it is "online"
    is_one_run(server, interrupted_twice(tmp_path))


def test_offline_and_sent_later(server: Server, tmp_path: Path) -> None:
    folder = interrupted_twice(tmp_path)
    assert server.runs == {}
    send(folder)
    is_one_run(server, folder)


def cut(part: Path, size: int) -> None:
    """What the file of a killed process may be: W&B writes late."""
    (path,) = part.glob("run-*.wandb")
    os.truncate(path, size if size > 0 else path.stat().st_size + size)


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "control: left as they are"])
def test_parts_of_processes_that_were_killed(
    server: Server, offline: pytest.MonkeyPatch, tmp_path: Path, mended: bool
) -> None:
    if not mended:
        offline.setattr(wandb_run, "_mended", wandb_run.read_wandb_file)
    for iteration, size in ((15, -600), (31, 7), (40, 7)):  # torn; not begun; after the last iteration
        with pytest.raises(KeyboardInterrupt):
            run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path, callbacks=[Raises(iteration)])
        cut(part_folders(only_run(tmp_path))[-1], size)
    run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path)
    send(only_run(tmp_path))
    assert ([arrived.steps for arrived in server.runs.values()] == [list(range(1, 41))]) == mended


class Closes(pl.Callback):
    """The network is gone from the second iteration on."""

    def __init__(self, server: Server) -> None:
        self.server, self.open = server, True

    def on_train_batch_end(self, *_: Any) -> None:
        if self.open:
            self.server.shutdown()
            self.server.server_close()
            self.open = False


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "control: stays"])
def test_a_network_that_dies_in_training(
    server: Server, offline: pytest.MonkeyPatch, tmp_path: Path, dies: bool
) -> None:
    offline.delenv("WANDB_MODE")
    callbacks: list[Any] = []
    if dies:
        offline.setenv("WANDB_FINISH_TIMEOUT", "1")
        callbacks = [Closes(server)]
    assert run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path, callbacks=callbacks).status == "finished"
    (arrived,) = server.runs.values()
    assert (arrived.exit_codes == [0]) == (not dies)


def test_control_the_server_counts_what_is_sent_twice() -> None:
    twice = Arrived({0: {"_step": 1}, 1: {"_step": 2}, 2: {"_step": 2}})
    assert twice.steps != [1, 2]
