"""Where only the library is installed, a command of the suite names what is missing, in one sentence."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from repro.errors import OF_THE_SUITE, not_installed
from repro.records.store import CHECKOUT

WITHOUT = """\
import sys
for name in {names!r}:
    sys.modules[name] = None
from repro.cli.main import main
sys.exit(main({words!r}))
"""


def command(*words: str, names: tuple[str, ...] = OF_THE_SUITE) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(names=names, words=list(words))
    return subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--brief"],
        ["runs"],
        ["list", "claims"],
        ["figures", "fig1", "--records", "accepted"],
        ["report"],
        ["sweep", "status", "store_recall_threshold"],
        ["run", "pattern_generation", "--variant", "bptt", "--profile", "smoke", "--seed", "987"],
    ],
    ids=" ".join,
)
def test_one_sentence(words: list[str]) -> None:
    done = command(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert "is not installed: this command needs the reproduction suite" in done.stderr


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (["figures", "fig1", "--records", "accepted"], "matplotlib"),
        (["check", "--brief"], "scipy"),
        (["check", "--brief"], "pandas"),
        (["report"], "markdown_it"),
        (["run", "pattern_generation", "--variant", "bptt", "--profile", "smoke"], "pytorch_lightning"),
    ],
)
def test_one_package_is_missing(words: list[str], package: str, tmp_path: Path, monkeypatch: Any) -> None:
    if words[0] == "run":
        monkeypatch.setenv("REPRO_RESULTS", str(tmp_path))
    done = command(*words, names=(package,))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stdout + done.stderr
    assert f"{package} is not installed: this command needs the reproduction suite" in done.stderr


def test_controls() -> None:
    assert command("--help").returncode == 0, "help needs no package"
    broken = command("list", "tasks", names=("repro.jobs.plan",))
    assert "Traceback" in broken.stderr, "a module of our own that is missing is a fault"
    assert not_installed("pandas.core") and not_installed("repro.cli") is None


def test_all_packages_of_the_suite() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    provided = importlib.metadata.packages_distributions()
    for requirement in [*extras["lightning"], *extras["suite"]]:
        package = requirement.split(">")[0].split("[")[0].strip().lower()
        modules = [name for name, packages in provided.items() if package in map(str.lower, packages)]
        assert package == "eprop-repro" or set(modules) & set(OF_THE_SUITE), f"no module of {package}"
