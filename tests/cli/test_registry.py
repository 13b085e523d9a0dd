"""Tasks and figures register themselves: by entry points of any package, ours by pyproject.toml in a checkout."""

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.runs import registry

MODULE = """\
import dataclasses
from tasks.pattern_generation.config import TASK

TASK = dataclasses.replace(TASK, name="made_up", figure="fig_made_up", about="a task of another package")
PANELS = ("a",)

def draw(where, panels, out):
    return [out / "drawn.svg"]

def write(where, out):
    return [out / "page.md"]
"""
OWN = list(tomllib.loads(registry.PYPROJECT.read_text())["project"]["entry-points"]["repro.tasks"])


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a package of another author, which registers what is asked."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "made_up_package", raising=False)
    (tmp_path / "made_up_package.py").write_text(MODULE)

    def install(entries: str) -> None:
        folder = tmp_path / "made_up-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entries)

    return install


@pytest.fixture
def pyproject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pyproject.toml of a checkout of the test's own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "made_up_package", raising=False)
    (tmp_path / "made_up_package.py").write_text(MODULE)
    monkeypatch.setattr(registry, "PYPROJECT", tmp_path / "pyproject.toml")
    return tmp_path / "pyproject.toml"


GOOD = """\
[repro.tasks]
made_up = made_up_package:TASK

[repro.figures]
fig_made_up = made_up_package
"""


def test_an_entry_point_registers_a_task_and_a_figure(
    package: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registry.task_names() == OWN
    registry.entries.cache_clear()
    package(GOOD)
    assert registry.task_names() == [*OWN, "made_up"]
    assert [task.name for task in registry.tasks_of("fig_made_up")] == ["made_up"]
    assert registry.draw("fig_made_up", "runs", None, tmp_path) == [tmp_path / "drawn.svg"]
    assert main(["list", "tasks"]) == 0
    assert "a task of another package" in capsys.readouterr().out
    assert main(["figures", "fig_made_up", "--panels", "b"]) == 2
    assert "unknown panel 'b' of fig_made_up; known: a" in capsys.readouterr().err


def test_the_table_of_a_checkout_registers_a_task(pyproject: Path) -> None:
    pyproject.write_text(
        '[project]\nname = "eprop-repro"\n[project.entry-points."repro.tasks"]\nmade_up = "made_up_package:TASK"\n'
    )
    assert registry.task_names() == ["made_up"]
    assert registry.get_task("made_up").about == "a task of another package"


def test_the_table_of_another_project_is_not_ours(pyproject: Path) -> None:
    pyproject.write_text('[project]\nname = "x"\n[project.entry-points."repro.tasks"]\nmade_up = "made_up_package:T"\n')
    assert "made_up" not in registry.task_names()


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ("made_up = nowhere:TASK", "cannot load the task made_up, registered as 'nowhere:TASK': No module named"),
        ("made_up = made_up_package:TSK", "cannot load the task made_up, registered as 'made_up_package:TSK': module"),
        ("made_up = made_up_package:PANELS", "'made_up_package:PANELS', is not a Task of that name"),
        ("other = made_up_package:TASK", "the task other, registered as 'made_up_package:TASK', is not a Task of that"),
        ("speech = made_up_package:TASK", "two packages register 'speech', as tasks.speech.config:TASK and as made_up"),
    ],
)
def test_a_bad_entry_is_one_sentence(
    package: Callable[[str], None], entries: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    package(f"[repro.tasks]\n{entries}\n")
    assert main(["list", "tasks"]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_a_figure_that_cannot_draw(package: Callable[[str], None]) -> None:
    package("[repro.figures]\nfig_made_up = json\n")
    with pytest.raises(UserError, match="registered as 'json', has no PANELS or no draw"):
        registry.draw("fig_made_up")


def test_a_page_is_written_by_its_module(package: Callable[[str], None], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown page 'made_up'; known: questions"):
        registry.write_page("made_up", ["runs"], tmp_path)
    registry.entries.cache_clear()
    package("[repro.pages]\nmade_up = made_up_package\nbroken = json\n")
    assert registry.write_page("made_up", ["runs"], tmp_path) == [tmp_path / "page.md"]
    with pytest.raises(UserError, match="registered as 'json', has no write"):
        registry.write_page("broken", ["runs"], tmp_path)


@pytest.mark.parametrize(
    "text", ["[project", '[project]\nname = "eprop-repro"\n[project.entry-points]\n"repro.tasks" = 3\n']
)
def test_a_broken_table(pyproject: Path, text: str) -> None:
    pyproject.write_text(text)
    with pytest.raises(UserError, match="cannot read the entry points repro.tasks in .*pyproject.toml"):
        registry.task_names()


def test_nothing_is_imported_to_list_names() -> None:
    listing = "import sys; from repro.runs.registry import task_names; task_names()"
    code = f"{listing}; print(*(name for name in sys.modules if 'tasks' in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
