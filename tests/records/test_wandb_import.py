"""`repro import wandb` gives back the record, or says what is missing or wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.records.record import ARRAYS, RECORD
from repro.records.wandb_file import read_wandb_file
from repro.records.wandb_import import import_wandb
from repro.runs.run import run
from tasks.pattern_generation.config import TASK
from tests.records.mirrored import SETTINGS, Raises, only_run, part_folders


@pytest.fixture
def part(mirrored: Path, tmp_path: Path) -> Path:
    """A copy of the folder that W&B keeps of the finished run, at another place."""
    (folder,) = part_folders(mirrored)
    return Path(shutil.copytree(folder, tmp_path / "elsewhere" / folder.name))


def test_the_record_comes_back(mirrored: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (part, next(part.glob("*.wandb")), part / "files"):
        out = tmp_path / path.name
        assert main(["import", "wandb", str(path), "--out", str(out)]) == 0
        folder = only_run(out)
        assert folder.relative_to(out).parts == mirrored.parts[-3:]
        assert sorted(file.name for file in folder.iterdir()) == [ARRAYS, RECORD]
        for name in (ARRAYS, RECORD):
            assert (folder / name).read_bytes() == (mirrored / name).read_bytes()
        printed = capsys.readouterr().out
        assert printed.startswith("pattern_generation e_prop_1 seed 0: finished (")
        assert main(["import", "wandb", str(path), "--out", str(out)]) == 0  # it is there already: nothing changes


@pytest.mark.parametrize("words", [["wandb"], ["wand", "x"], ["wandb", "x", "y"]])
def test_what_the_command_wants(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", *words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and ("no file wandb;" in err or "takes one FILE, or `wandb` and one PATH" in err)


def change(part: Path, **values: Any) -> None:
    path = part / "files" / RECORD
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | values))


def refused(part: Path, out: Path, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        import_wandb(part, out)
    assert not list(out.rglob("*.*"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"task": "../../x"}, "is not a complete record"),
        ({"seed": -1}, "is not a complete record"),
        ({"variant": ["e_prop_1"]}, "is not a complete record"),
    ],
)
def test_names_that_are_no_names(part: Path, tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    change(part, **values)
    refused(part, tmp_path / "out", sentence)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("summary", "nmse is .* in the record and 1.5 in the summary"),
        ("config", "seed is 0 in the record and 1.5 in the config"),
        ("history", "loss of iteration 3 is 1.5 in the history, not in the record"),
        ("", ""),  # control
    ],
)
def test_a_record_that_is_not_what_was_sent(
    mirrored: Path, monkeypatch: pytest.MonkeyPatch, part: Path, tmp_path: Path, where: str, sentence: str
) -> None:
    sent = read_wandb_file(next(part.glob("*.wandb")))
    other = {"summary": sent.summary, "config": sent.config, "history": sent.history[2], "": {}}[where]
    other[{"summary": "nmse", "config": "seed"}.get(where, "series/loss")] = 1.5
    monkeypatch.setattr("repro.records.wandb_import.read_wandb_file", lambda path: sent)
    if where:
        refused(part, tmp_path / "out", sentence)
    else:
        import_wandb(part, tmp_path / "out")


def test_other_arrays(part: Path, tmp_path: Path) -> None:
    path = part / "files" / ARRAYS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    refused(part, tmp_path / "out", ARRAYS)


def test_arrays_that_are_missing(part: Path, tmp_path: Path) -> None:
    (part / "files" / ARRAYS).unlink()
    refused(part, tmp_path / "out", f"no {ARRAYS}: the run ended without")
    refused(part / "files", tmp_path / "out", f"has no {ARRAYS}, which the record needs")


def test_a_run_that_ended_without_a_record(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(TASK, "e_prop_1", "smoke", 0, SETTINGS, tmp_path / "in", callbacks=[Raises(1)])
    (part,) = part_folders(only_run(tmp_path / "in"))
    refused(
        part,
        tmp_path / "out",
        "1 iteration of history, up to iteration 1, and no record.json and arrays.npz: the run ended",
    )


def test_another_record_is_kept(part: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder, _ = import_wandb(part, out)
    (folder / RECORD).write_text("mine")
    with pytest.raises(UserError, match="has another record of this run; move it away"):
        import_wandb(part, out)
    assert (folder / RECORD).read_text() == "mine"


def test_a_flipped_bit(part: Path, tmp_path: Path) -> None:
    path = next(part.glob("*.wandb"))
    data = bytearray(path.read_bytes())
    for position in (0, 300, len(data) // 2):
        path.write_bytes(bytes(data[:position]) + bytes([data[position] ^ 4]) + bytes(data[position + 1 :]))
        refused(part, tmp_path / "out", "is damaged or not a file of W&B")


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_what_is_no_run(tmp_path: Path, path: str) -> None:
    refused(tmp_path / path, tmp_path / "out", "offline-run-TIME-ID")


def test_a_torn_end_is_the_end(part: Path, tmp_path: Path) -> None:
    whole = read_wandb_file(path := next(part.glob("*.wandb")))
    data = path.read_bytes()
    for size in (7, 8, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        torn = read_wandb_file(path)
        assert torn.exit_code is None
        assert torn.history == whole.history[: len(torn.history)]
        assert torn.size <= size
    assert (len(whole.history), whole.size) == (40, len(data))


def test_a_long_value_crosses_blocks(offline: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """W&B writes, we read: texts around the size of a block, and more than one block."""
    from repro.records import wandb_run

    sent = wandb_run.start(tmp_path, project="p")
    texts = {f"t{size}": chr(97 + size % 26) * size for size in (32_000, 32_700, 32_760, 40_000, 100_000)}
    for name, text in texts.items():
        sent.summary[name] = text
        sent.log({"a": 0.1})
    wandb_run.finish(sent, 3)
    part = read_wandb_file(next(tmp_path.glob("wandb/offline-run-*/*.wandb")))
    assert {name: part.summary[name] for name in texts} == texts
    assert (len(part.history), part.exit_code) == (5, 3)
