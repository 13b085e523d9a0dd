"""A record that exists is complete, whenever the process that writes it is killed; and no name leads elsewhere."""

import dataclasses
import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.errors import UserError
from repro.records.arrays import pack_arrays
from repro.records.record import (
    JOURNAL,
    RECORD,
    WEIGHTS,
    append_journal,
    checked_record,
    read_arrays,
    read_record,
    read_weights,
    run_path,
    write_record,
)
from repro.records.store import run_folder
from tasks.pattern_generation.config import TASK
from tests.records.made_up import made_run


def killed_while_rewriting(folder: Path, call: int) -> bool:
    """Write another record of a run in a process that is killed before its rename or removal of that number; whether it
    was."""
    child = os.fork()
    if not child:
        calls = []

        def before(function: Any) -> Any:
            def replaced(*args: Any, **kwargs: Any) -> Any:
                calls.append(function)
                if len(calls) == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return replaced

        Path.replace, Path.unlink = before(Path.replace), before(Path.unlink)  # type: ignore[method-assign]
        arrays, weights = pack_arrays({"loss": np.array([0.5, 0.125])}), pack_arrays({"w": np.ones(2)})
        hashes = [hashlib.sha256(data).hexdigest() for data in (arrays, weights)]
        new = dataclasses.replace(read_record(folder), arrays_sha256=hashes[0], weights_file_sha256=hashes[1])
        write_record(folder, dataclasses.replace(new, metrics={"loss": 0.125}), arrays, weights)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_kill_at_any_moment_leaves_a_whole_record_or_none(tmp_path: Path) -> None:
    seen, call = set(), 1
    while True:
        folder = made_run(tmp_path / str(call))
        killed = killed_while_rewriting(folder, call)
        if (folder / RECORD).exists():
            record = read_record(folder)
            assert read_arrays(folder, record)["loss"][-1] == record.metrics["loss"]
            assert len(read_weights(folder, record)["w"]) in (2, 3)
            seen.add(record.metrics["loss"])
        else:
            seen.add(0.0)
        if not killed:
            break
        call += 1
    assert seen == {0.25, 0.0, 0.125}  # the earlier record, none, the new one
    assert call > 5


def test_a_record_without_weights_removes_those_of_an_earlier_one(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    record = dataclasses.replace(read_record(folder), status="unfinished", weights_file_sha256="")
    write_record(folder, record, (folder / "arrays.npz").read_bytes())
    assert not (folder / WEIGHTS).exists()
    with pytest.raises(UserError, match="they were not kept"):
        read_weights(folder, read_record(folder))


WRONG = [
    *(("../../x", "a", "0badcafe", 0), ("toy", "a/b", "0badcafe", 0), ("toy", "a", "../../..", 0)),
    *(
        ("toy", "a", "0badcafe", -1),
        ("toy", "a", "0badcafe", 2**31),
        ("toy", "a", "0badcafe", "0/.."),
        ("", "a", "0", 0),
    ),
]


@pytest.mark.parametrize("names", WRONG)
def test_no_path_is_built_from_other_names(tmp_path: Path, names: tuple[Any, ...]) -> None:
    task, variant, config_hash, seed = names
    for build in (run_path, lambda *_: run_folder(task, variant, config_hash, seed, tmp_path)):
        with pytest.raises(UserError, match="names no run: tasks and variants consist of a-z, 0-9 and _"):
            build(*names)


def test_a_task_has_names_of_folders() -> None:
    with pytest.raises(UserError, match="'My-Task .* names no run"):
        dataclasses.replace(TASK, name="My-Task")
    with pytest.raises(UserError, match=r"'pattern_generation e-prop .* names no run"):
        dataclasses.replace(TASK, variants={"e-prop": TASK.variants["e_prop_1"]}, seconds={"e-prop": 1.0})


def test_control_names_of_runs() -> None:
    assert run_path("toy", "e_prop_1", "0badcafe", 2**31 - 1) == Path("toy/e_prop_1-0badcafe/seed-2147483647")


def test_what_no_record_can_hold(tmp_path: Path) -> None:
    fields = dataclasses.asdict(read_record(made_run(tmp_path)))
    assert checked_record(**fields).seed == 0  # control
    with pytest.raises(UserError, match=r"this run cannot be recorded: metrics\.error in %"):
        checked_record(**fields | {"metrics": {"error in %": 1.0}})


@pytest.mark.parametrize("thing", ["folder", "link"])
def test_a_journal_that_is_none(tmp_path: Path, thing: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    append_journal(tmp_path, "started")  # control
    (tmp_path / JOURNAL).unlink()
    (tmp_path / JOURNAL).mkdir() if thing == "folder" else (tmp_path / JOURNAL).symlink_to(precious)
    with pytest.raises(UserError, match=r"cannot write .*journal.jsonl .*it should be a plain file"):
        append_journal(tmp_path, "started")
    assert precious.read_text() == "precious"
