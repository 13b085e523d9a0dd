"""The commands of docs/tracking.md run as they stand, from top to bottom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.blocks import blocks_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tracking.md"


def blocks() -> list[str]:
    return [block.text for block in blocks_of(PAGE.read_text(encoding="utf-8"), "bash") if not block.why]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose `repro` and `wandb` are these, and whose results are in an empty folder."""
    pytest.importorskip("wandb")
    folder = tmp_path_factory.mktemp("page")
    for name in ("repro", "wandb"):
        script = folder / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {name} "$@"\n')
        script.chmod(0o755)
    (folder / "results").mkdir()
    (folder / "results/accepted").symlink_to(ROOT / "results/accepted")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return kept | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "REPRO_RESULTS": str(folder / "results"),
        "HOME": str(folder),
        "PWD": str(folder),
    }


def test_the_commands_run(shell: dict[str, str]) -> None:
    script = "set -eu\n" + "\n".join(blocks()).replace("wandb sync", "wandb sync --dry-run")
    done = subprocess.run(
        ["bash", "-c", script], env=shell, cwd=shell["PWD"], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert "step" in done.stdout, "the head of the CSV file"
    assert "Would sync 1 run(s)" in done.stdout + done.stderr
    assert "kept on disk: fig1; send it with `wandb sync results/figures/wandb/offline-run-" in done.stdout
    assert "pattern_generation e_prop_1 seed 0: finished (imported/" in done.stdout
    assert len(blocks()) == 4


def test_control_a_wrong_command_fails(shell: dict[str, str]) -> None:
    for wrong in ("wandb sync --dryrun x", "repro publish --offline"):
        assert subprocess.run(["bash", "-c", wrong], env=shell, cwd=shell["PWD"], capture_output=True).returncode != 0
