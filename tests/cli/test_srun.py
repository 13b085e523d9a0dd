"""On a machine with SLURM, where `srun` is on the PATH, a run prints what it prints anywhere else."""

import os
import re
import shutil
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.scripts import run_python

RUN = ("run", "pattern_generation", "--variant", "e_prop_1", "--profile", "smoke", "--set", "iterations=4")


@pytest.fixture
def srun(tmp_path: Path) -> Path:
    """A folder with an executable of that name, which does nothing."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "srun").write_text("#!/bin/sh\n", encoding="ascii")
    (folder / "srun").chmod(0o755)
    return folder


def path_without_srun() -> list[str]:
    """The folders of the PATH that have no `srun`."""
    return [folder for folder in os.environ["PATH"].split(os.pathsep) if not shutil.which("srun", path=folder)]


def printed(processes: ForkServerContext, out: Path, path: list[str]) -> str:
    """What a short run prints with that PATH, without its folder and its seconds."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
    env |= {"PATH": os.pathsep.join(path), "WANDB_MODE": "disabled"}
    out.mkdir()
    done = run_python(processes, "-m", "repro", *RUN, "--out", str(out), folder=out, env=env)
    assert done.returncode == 0, done.stderr
    lines = f"stdout:\n{done.stdout}stderr:\n{done.stderr}".replace(str(out), "OUT")
    return re.sub(r"\b\d+ s$", "N s", lines, flags=re.MULTILINE)


def test_srun_on_the_path_changes_no_output(processes: ForkServerContext, srun: Path, tmp_path: Path) -> None:
    plain = printed(processes, tmp_path / "plain", path_without_srun())
    assert "finished" in plain and "iteration 4/4" in plain and "srun" not in plain
    assert printed(processes, tmp_path / "with srun", [str(srun), *path_without_srun()]) == plain


def test_control_lightning_does_warn(srun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_fabric.plugins.environments import SLURMEnvironment

    for key in [key for key in os.environ if key.startswith("SLURM")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PATH", str(srun), prepend=os.pathsep)
    with pytest.warns(UserWarning, match="`srun` command is available"):
        SLURMEnvironment.detect()
