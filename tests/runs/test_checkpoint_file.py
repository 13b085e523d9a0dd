"""A checkpoint carries its hash, its run and the parts of that run; a changed byte is never resumed."""

import dataclasses
import random
import zipfile
from pathlib import Path

import pytest
import torch

from repro.errors import UserError
from repro.records.record import ARRAYS, RECORD, read_record, write_record
from repro.runs.checkpoints import LAST, load, sealed, unsealed
from repro.runs.run import run
from tasks.pattern_generation.config import TASK
from tasks.pattern_generation.module import PatternGenerationModule


def unfinished(out: Path) -> Path:
    """The folder of a run that stopped after its first iteration."""
    run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, out, minutes=1e-9)
    (folder,) = out.glob("*/*/seed-0")
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return unfinished(tmp_path_factory.mktemp("stopped"))


def test_torch_and_zip_read_it(stopped: Path) -> None:
    content = torch.load(stopped / LAST, weights_only=True)
    assert content["global_step"] == 1
    with zipfile.ZipFile(stopped / LAST) as archive:
        assert archive.comment.startswith(b"sha256:") and archive.testzip() is None
    assert PatternGenerationModule.load_from_checkpoint(stopped / LAST, weights_only=True).seed == 0


def test_every_flipped_bit_is_refused(stopped: Path, tmp_path: Path) -> None:
    whole, chance, path = (stopped / LAST).read_bytes(), random.Random(3), tmp_path / LAST
    places = [*range(20), *range(len(whole) - 100, len(whole)), *(chance.randrange(len(whole)) for _ in range(300))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="its hash differs; delete it to train from the start"):
            load(path)
    path.write_bytes(whole)  # control
    assert load(path)["global_step"] == 1


@pytest.mark.parametrize("data", [b"", b"x", b"sha256:" + b"0" * 64, b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_checkpoint(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / LAST
    path.write_bytes(data)
    with pytest.raises(UserError, match="its hash differs"):
        unsealed(path)
    path.write_bytes(sealed(data + b"\0\0"))
    with pytest.raises(UserError, match="is not a checkpoint of ours"):
        load(path)


def test_a_damaged_checkpoint_is_not_recorded_either(tmp_path: Path) -> None:
    folder = unfinished(tmp_path)
    data = bytearray((folder / LAST).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / LAST).write_bytes(data)
    before = (folder / RECORD).read_bytes()
    for minutes in (0, None):
        with pytest.raises(UserError, match="its hash differs"):
            run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path, minutes=minutes)
    assert (folder / RECORD).read_bytes() == before


def test_time_and_parts_are_those_of_all_processes(tmp_path: Path) -> None:
    folder = unfinished(tmp_path)
    first = read_record(folder)
    assert [part.iterations for part in first.parts] == [1]
    again = run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path, minutes=0)  # of the checkpoint alone
    assert again.parts == first.parts and again.wall_s == first.wall_s
    whole = run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path)
    assert [part.iterations for part in whole.parts] == [1, 3]
    assert whole.parts[0] == first.parts[0]
    assert whole.wall_s == pytest.approx(sum(part.wall_s for part in whole.parts), abs=0.01)
    assert whole.wall_s > first.wall_s and whole.started == first.started
    assert whole.parts[1].started >= first.parts[0].started


def test_control_an_undisturbed_run_has_one_part(tmp_path: Path) -> None:
    record = run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path)
    assert [part.iterations for part in record.parts] == [3]
    assert record.machine == record.parts[0].machine != ""
    assert set(record.extras) == {"matrix_library", "peak_memory_mb", "seconds_per_iteration"}


@pytest.mark.parametrize("thing", ["folder", "link"])
def test_a_lock_that_is_none(tmp_path: Path, thing: str) -> None:
    folder, precious = unfinished(tmp_path), tmp_path / "precious"
    precious.write_text("precious")
    (folder / "lock").unlink()
    (folder / "lock").mkdir() if thing == "folder" else (folder / "lock").symlink_to(precious)
    with pytest.raises(UserError, match="cannot write results to"):
        run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path)
    assert precious.read_text() == "precious"


def test_peak_memory_is_that_of_a_process_that_trained(tmp_path: Path) -> None:
    folder = unfinished(tmp_path)
    assert 50 < float(read_record(folder).extras["peak_memory_mb"]) < 100_000
    record = run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path, minutes=0)
    assert set(record.extras) == {"seconds_per_iteration"}


@pytest.mark.parametrize("name", [LAST, f"{LAST}.part"])
def test_a_folder_where_a_checkpoint_is_written(tmp_path: Path, name: str) -> None:
    folder = unfinished(tmp_path)
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(UserError, match=rf"{name}.* (should be a file|is a folder)"):
        run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path)
    (folder / name).rmdir()
    assert run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path).status == "finished"


def test_a_finished_record_of_another_config(tmp_path: Path) -> None:
    record = run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path)
    (folder,) = tmp_path.glob("*/*/seed-0")
    assert run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path) == record  # control
    changed = dataclasses.replace(record, config=dict(record.config) | {"learning_rate": 0.5})
    write_record(folder, changed, (folder / ARRAYS).read_bytes())
    with pytest.raises(UserError, match=f"another config than its hash {record.config_hash} stands for"):
        run(TASK, "e_prop_1", "smoke", 0, {"iterations": "3"}, tmp_path)
