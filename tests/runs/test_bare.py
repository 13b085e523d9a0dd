"""Training runs where only torch, Lightning, numpy and pydantic are installed."""

import importlib.util
import os
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from repro.runs.run import run
from tasks import get_task
from tests.scripts import run_python

MISSING = ("wandb", "optuna", "pandas", "seaborn", "tyro", "numba")
SCRIPT = """
import sys
sys.modules.update(dict.fromkeys({missing!r}))
from pathlib import Path
from repro.runs.run import run
from tasks import get_task
record = run(get_task("pattern_generation"), "e_prop_1", "smoke", 0, {{}}, Path({out!r}), device="cpu")
print(record.status, record.metrics["nmse"])
"""


def trained(out: Path, *missing: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(missing=missing, out=str(out))
    root = Path(__file__).parents[2]
    kept = {key: value for key, value in os.environ.items() if key != "WANDB_MODE"}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=root, env=kept, timeout=500
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return trained(tmp_path_factory.mktemp("bare"), *MISSING)


def test_training_needs_none_of_the_optional_packages(bare: subprocess.CompletedProcess[str]) -> None:
    assert bare.stdout.startswith("finished "), bare.stderr


def test_what_a_log_shows_is_a_line_now_and_then(bare: subprocess.CompletedProcess[str]) -> None:
    lines = bare.stderr.splitlines()
    assert lines, "no progress is shown"
    assert all(line.startswith("iteration ") for line in lines), bare.stderr
    assert len(lines) <= 12


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_an_offline_mirror_changes_nothing(processes: ForkServerContext, tmp_path: Path) -> None:
    (tmp_path / "mirrored.py").write_text(SCRIPT.format(missing=(), out=str(tmp_path / "mirrored")), encoding="utf-8")
    env = os.environ | {"WANDB_MODE": "offline"}
    found = run_python(processes, str(tmp_path / "mirrored.py"), folder=tmp_path, env=env)
    alone = run(get_task("pattern_generation"), "e_prop_1", "smoke", 0, {}, tmp_path / "alone")
    assert found.stdout.split() == ["finished", str(alone.metrics["nmse"])], found.stderr
    assert all(line.startswith("iteration ") for line in found.stderr.splitlines()), found.stderr
    written = [list((tmp_path / name).glob("*/*/seed-0/wandb/offline-run-*/*.wandb")) for name in ("mirrored", "alone")]
    assert [len(files) for files in written] == [1, 0]


@pytest.mark.parametrize("package", ["pytorch_lightning", "pydantic"])
def test_control_what_it_needs(tmp_path: Path, package: str) -> None:
    found = trained(tmp_path, package)
    assert found.returncode != 0
    assert package in found.stderr
