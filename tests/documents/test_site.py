"""The pages build as a site without a warning, and need nothing from elsewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import repro.eprop
from tests.documents.blocks import ROOT, read

SITE = read("mkdocs.yml")
OF_ROOT = {"index.md", "contributing.md", "changelog.md"}
SOURCES = (
    "mkdocs.yml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CITATION.cff",
    "LICENSE",
)


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """`mkdocs build --strict` of a checkout; the notebook is not run (tests/documents/test_notebook.py runs it)."""
    pytest.importorskip("mkdocs_jupyter", reason="`make docs` and `make test` install mkdocs")
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1", "RUN_NOTEBOOK": "false"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the site is made of."""
    for name in SOURCES:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("repro", "tasks", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_site_builds_without_a_warning(checkout: Path) -> None:
    done = build(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {
        path.relative_to(checkout / "build/site"): path.read_text() for path in checkout.glob("build/site/**/*.html")
    }
    loaded = [
        re.findall(r'<(?:script|img)[^>]+src="(https?:[^"]+)|<link[^>]+href="(https?:[^"]+)', text)
        for text in pages.values()
    ]
    assert not any(loaded)
    assert "<math" in pages[Path("notation.html")] and "arithmatex" not in pages[Path("notation.html")]
    reference = pages[Path("reference.html")]
    assert all(f'id="repro.eprop.{name}"' in reference for name in repro.eprop.__all__)


def test_control_a_broken_link_fails(checkout: Path) -> None:
    with (checkout / "docs/running.md").open("a") as page:
        page.write("\n[nowhere](nowhere.md)\n")
    done = build(checkout)
    assert done.returncode and "nowhere.md" in done.stdout + done.stderr


def test_every_page_is_in_the_navigation() -> None:
    pages = {path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".ipynb")}
    assert pages == set(re.findall(r": (\w+\.(?:md|ipynb))$", SITE, re.M)) - OF_ROOT


def test_every_name_of_the_library_is_in_the_reference() -> None:
    listed = re.findall(r"^::: repro\.eprop\.(\w+)$", read("docs/reference.md"), re.M)
    assert sorted(listed) == sorted(repro.eprop.__all__)
    assert len(listed) == len({*listed})
