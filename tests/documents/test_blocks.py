"""Every code block of the README and of the pages runs, or gives the reason for which it does not."""

import os
import shutil
import subprocess
import sys
import tomllib
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.documents.blocks import LANGUAGES, PAGES, ROOT, blocks_of, code_of, indented_blocks, read
from tests.scripts import run_python

ELSEWHERE = ("docs/tracking.md",)  # run by tests/records/test_tracking_page.py
IN_PYTHON = [page for page in PAGES if code_of(page, "python")]
IN_BASH = [page for page in PAGES if code_of(page, "bash") and page not in ELSEWHERE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with results of its own beside the accepted ones, and with stand-ins for `repro` and `make`."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results/accepted").symlink_to(ROOT / "results/accepted")
    (tmp_path / "sweeps").symlink_to(ROOT / "sweeps")
    (tmp_path / "bin").mkdir()
    stand_in = f'exec "{sys.executable}" "{ROOT}/tests/documents/shell.py"'
    a_script = "for word; do test -f $word && exit; done; exit 1 #"
    scripts = {"repro": f"{stand_in} repro", "make": f"{stand_in} make {shutil.which('make')}", "sbatch": a_script}
    for name, script in scripts.items():
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\n{script} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "REPRO_RESULTS": str(folder / "results"),
        "WANDB_MODE": "disabled",
    }


def run_bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-eu", "-c", script], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=500
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_block_names_its_language(page: str) -> None:
    blocks = blocks_of(read(page))
    assert {block.language for block in blocks} <= {*LANGUAGES}
    assert not indented_blocks(read(page))
    assert read(page).count("\n```") == 2 * len(blocks)


def test_control_a_block_without_language_is_seen() -> None:
    assert indented_blocks("Text.\n\n    make fig1\n") == ["make fig1"]
    assert not indented_blocks("- A list.\n\n    Its second paragraph.\n")
    assert [block.language for block in blocks_of("```\nmake fig1\n```\n")] == [""]
    assert blocks_of("<!-- not run: too long -->\n```bash\nmake\n```\n")[0].why == "too long"


@pytest.mark.parametrize("page", IN_PYTHON)
def test_the_python_blocks_run_from_top_to_bottom(page: str, processes: ForkServerContext, folder: Path) -> None:
    (folder / "page.py").write_text(code_of(page, "python"), encoding="utf-8")
    ended = run_python(processes, str(folder / "page.py"), folder=folder, env=environment(folder))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("page", IN_BASH)
def test_the_commands_run(page: str, folder: Path) -> None:
    done = run_bash(code_of(page, "bash"), folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "wrong", ["repro lst", "make fig9x", "make fig1 PANELS=9", "repro run speech --variant x", "sbatch no.sh"]
)
def test_control_a_wrong_command_fails(wrong: str, folder: Path) -> None:
    assert run_bash(wrong, folder).returncode


@pytest.mark.parametrize("page", PAGES)
def test_the_toml_blocks_are_toml(page: str) -> None:
    for block in blocks_of(read(page), "toml"):
        assert tomllib.loads(block.text)
