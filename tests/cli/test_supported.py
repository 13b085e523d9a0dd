"""What cannot make an environment is named before anything is downloaded."""

import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from repro import supported
from repro.records.store import CHECKOUT

Usage = namedtuple("Usage", "total used free")
Version = namedtuple("Version", "major minor micro")


@pytest.fixture(autouse=True)
def fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with all that is needed."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 50e9))
    monkeypatch.setattr(supported.platform, "system", lambda: "Linux")
    monkeypatch.setattr(supported.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(supported.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(sys, "version_info", Version(3, 12, 1))


@pytest.mark.parametrize(
    ("what", "value", "printed"),
    [
        ("sys.version_info", Version(3, 14, 0), "is Python 3.14: make PYTHON="),
        ("sys.version_info", Version(3, 10, 9), "is Python 3.10"),
        ("sys.maxsize", 2**31 - 1, "64-bit"),
        ("platform.python_implementation", lambda: "PyPy", "no build for PyPy"),
        ("platform.libc_ver", lambda: ("", ""), "Linux without glibc"),
        ("platform.libc_ver", lambda: ("glibc", "2.17"), "Linux with glibc 2.17"),
        ("platform.system", lambda: "Darwin", "Darwin on x86_64"),
        ("platform.machine", lambda: "riscv64", "Linux on riscv64"),
        ("shutil.disk_usage", lambda _: Usage(0, 0, 3e9), "3.0 GB of disk are free here; CUDA=no makes a smaller one"),
        ("importlib.util.find_spec", lambda _: None, "apt install python3-venv"),
    ],
)
def test_what_is_lacking_is_named(monkeypatch, what, value, printed):
    assert supported.problem(5.6) == ""  # control
    monkeypatch.setattr(f"repro.supported.{what}", value)
    assert printed in supported.problem(5.6)


def test_apple_silicon(monkeypatch):
    monkeypatch.setattr(supported.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(supported.platform, "machine", lambda: "arm64")
    assert supported.problem(5.6) == ""


def test_make_asks_first(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", *(path.name for path in CHECKOUT.glob("*.lock"))):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / "repro").mkdir()
    (tmp_path / "repro" / "supported.py").write_text("import sys; sys.exit('this cannot be')")
    line = ["make", "check", f"PYTHON={sys.executable}"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "this cannot be" in done.stderr and not (tmp_path / ".venv").exists()
    line[-1] = "PYTHON=no-such-python"
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "no no-such-python here; this needs Python 3.11" in done.stdout and not (tmp_path / ".venv").exists()


def test_the_versions_are_those_of_the_package() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    (oldest, newest), after = (supported.OLDEST, supported.NEWEST), supported.NEWEST[1] + 1
    assert f'requires-python = ">={oldest[0]}.{oldest[1]},<{newest[0]}.{after}"' in text
