"""The registered tasks and figures. They register themselves by entry points of the package that brings them:

repro.tasks      NAME = "package.module:TASK", a `repro.runs.task.Task`
repro.figures    NAME = "package.module", with `PANELS` and `draw(where, panels, out)`
repro.pages      NAME = "package.module", with `write(where, out)`

This suite's own are such entries in pyproject.toml; in a checkout that is not installed they are read from that table.
"""

import functools
import tomllib
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from repro.errors import UserError, not_installed, unknown
from repro.records.store import PROJECT, PYPROJECT
from repro.runs.task import Task

TASKS, FIGURES, PAGES = "repro.tasks", "repro.figures", "repro.pages"


@functools.cache
def entries(group: str) -> dict[str, EntryPoint]:
    """Name -> entry point, this suite's own first.

    Raises UserError for a table that cannot be read, and for a name that two packages register.
    """
    known = _entries_of_checkout(group)
    installed = [entry for entry in entry_points(group=group) if not (known and _is_ours(entry))]
    for entry in sorted(installed, key=lambda entry: not _is_ours(entry)):
        other = known.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise UserError(
                f"{group}: two packages register {entry.name!r}, as {other.value} and as {entry.value}; uninstall one"
            )
    return known


def _is_ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == PROJECT


def _entries_of_checkout(group: str) -> dict[str, EntryPoint]:
    """What pyproject.toml of the checkout registers; nothing in an installed package, which has no such file."""
    if not PYPROJECT.is_file():
        return {}
    try:
        project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8")).get("project", {})
        table = project.get("entry-points", {}).get(group, {}) if project.get("name") == PROJECT else {}
        return {name: EntryPoint(name, str(value), group) for name, value in table.items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise UserError(f"cannot read the entry points {group} in {PYPROJECT}: {error}") from None


def _load(group: str, kind: str, name: str) -> Any:
    if name not in entries(group):
        raise unknown(kind, name, entries(group))
    entry = entries(group)[name]
    try:
        return entry.load()
    except (ImportError, AttributeError, TypeError, UserError) as error:
        if isinstance(error, ModuleNotFoundError) and (sentence := not_installed(error.name or "")):
            raise UserError(sentence) from error
        raise UserError(f"cannot load the {kind} {name}, registered as {entry.value!r}: {error}") from error


def task_names() -> list[str]:
    """The names of all tasks, without importing any."""
    return list(entries(TASKS))


def get_task(name: str) -> Task:
    """The task of that name. Raises UserError when there is none, or when it cannot be loaded."""
    task = _load(TASKS, "task", name)
    if not isinstance(task, Task) or task.name != name:
        raise UserError(f"the task {name}, registered as {entries(TASKS)[name].value!r}, is not a Task of that name")
    return task


def all_tasks() -> list[Task]:
    """Every task. Raises UserError when one cannot be loaded."""
    return [get_task(name) for name in task_names()]


def tasks_of(figure: str) -> list[Task]:
    """The tasks behind a figure such as "fig1". Raises UserError when there is none."""
    tasks = all_tasks()
    if figure not in (known := sorted({task.figure for task in tasks})):
        raise unknown("figure", figure, known)
    return [task for task in tasks if task.figure == figure]


def get_figure(name: str) -> Any:
    """The module that draws a figure: it has `PANELS` and `draw`. Raises UserError when there is none."""
    figure = _load(FIGURES, "figure", name)
    if not (hasattr(figure, "PANELS") and callable(getattr(figure, "draw", None))):
        raise UserError(f"the figure {name}, registered as {entries(FIGURES)[name].value!r}, has no PANELS or no draw")
    return figure


def draw(
    figure: str, where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None
) -> list[Path]:
    """Draw a figure's panels (all, if None) from the records under `where`; return the files written.

    Raises UserError when the figure, a panel or `where` is unknown, or no record can be drawn.
    """
    files: list[Path] = get_figure(figure).draw(where, panels, out)
    return files


def write_page(name: str, where: Sequence[str | Path], out: Path) -> list[Path]:
    """Write a page and its figures into `out` from the records under `where`; return the files written.

    Raises UserError when there is no such page, or a record or table cannot be read.
    """
    page = _load(PAGES, "page", name)
    if not callable(getattr(page, "write", None)):
        raise UserError(f"the page {name}, registered as {entries(PAGES)[name].value!r}, has no write")
    files: list[Path] = page.write(where, out)
    return files
