"""Where results go: the checkout, or the current folder of an installed package; and the commit of that code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repro.runs.provenance import memory_bytes

ROOT = Path(__file__).parents[2]
WHERE = """
import os, sys
sys.path.insert(0, {package!r})
from repro.records import store
from repro.runs.provenance import git_state
print(store.ROOT, store.HOME / "sweeps", *git_state())
"""


def asked(package: Path, cwd: Path, before: str = "", **environment: str) -> list[str]:
    """results/, sweeps/, commit and dirty, of a package imported from a folder."""
    env = {key: value for key, value in os.environ.items() if key not in ("REPRO_RESULTS", "PYTHONPATH")} | environment
    command = [sys.executable, "-c", before + WHERE.format(package=str(package))]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """As in a user's project: a folder of packages inside another git repository."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *who, "-C", str(tmp_path), "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    packages = tmp_path / "venv" / "site-packages"
    packages.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("errors.py", "text.py", "__init__.py"):
        (packages / "repro").mkdir(exist_ok=True)
        shutil.copy(ROOT / "repro" / name, packages / "repro")
    for name in ("records", "runs"):
        shutil.copytree(ROOT / "repro" / name, packages / "repro" / name, ignore=ignore)
    return packages


def test_an_installed_package_writes_to_the_current_folder(installed: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    expected = [str(here / "results"), str(here / "sweeps"), "True"]  # no commit: not that of the repository around it
    assert asked(installed, here) == expected
    (installed / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert asked(installed, here) == expected


def test_control_a_checkout_keeps_its_results(installed: Path, tmp_path: Path) -> None:
    (installed / "pyproject.toml").write_text('[project]\nname = "eprop-repro"\n')
    results, sweeps, commit, dirty = asked(installed, tmp_path)
    assert [results, sweeps] == [str(installed / "results"), str(installed / "sweeps")]
    head = subprocess.run(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert (commit, dirty) == (head.stdout.strip(), "True")  # none of its code is committed


def test_repro_results_wins(installed: Path, tmp_path: Path) -> None:
    assert asked(installed, tmp_path, REPRO_RESULTS="/elsewhere")[0] == "/elsewhere"


def test_a_current_folder_that_was_deleted(installed: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    assert asked(installed, gone, before=f"import os\nos.rmdir({str(gone)!r})\n")[0] == "results"


@pytest.mark.parametrize(
    ("changed", "dirty"), [("", "False"), ("tasks/own/config.py", "True"), ("pyproject.toml", "True"), ("x", "False")]
)
def test_new_and_changed_code_is_not_committed(installed: Path, tmp_path: Path, changed: str, dirty: str) -> None:
    (installed / "pyproject.toml").write_text('[project]\nname = "eprop-repro"\n')
    (tmp_path / ".gitignore").write_text("__pycache__\n")
    for words in (("init", "-q"), ("add", "."), ("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x")):
        subprocess.run(["git", *words], cwd=installed, check=True)
    if changed:
        (installed / changed).parent.mkdir(parents=True, exist_ok=True)
        (installed / changed).write_text('[project]\nname = "eprop-repro"\n# changed\n')
    assert asked(installed, tmp_path)[3] == dirty


def test_memory_is_counted_in_kib_but_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert memory_bytes(3) == 3072
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory_bytes(3) == 3
