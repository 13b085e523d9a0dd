"""Every value of every task, where it comes from and what may replace it, as a page: docs/parameters.md."""

from collections.abc import Iterable, Mapping

from repro.runs.config import REAL, Provenance, Value, provenance
from repro.runs.task import Task
from repro.text import markdown_table

HEAD = """\
# Parameters

Written by `repro list parameters --write docs/parameters.md`. Each task has one flat config; this page has all its
values.

- **from**: *paper*: the text prints the value, and *where or why* names the place. *assumed*: it prints none, or we use
  another one, and *where or why* gives our reason.
- **may be**: what `--set KEY=VALUE` accepts.
- A variant (a bar of a figure) and a profile (a size) replace some values: they are listed below each table. `repro
  show RUN` prints the values that one run used.

Where a name has no unit (`_ms`, `_hz`), *where or why* states it, or the value has none. A profile's values replace
those of a variant. Where a substitute stands in for licensed data, `corpus` has its name.
"""


def page(tasks: Iterable[Task]) -> str:
    """The page, one section a task."""
    return "\n".join([HEAD, *(_section(task) for task in tasks)])


def values(task: Task) -> list[tuple[str, str, str, str, str]]:
    """Of each key of a task's config: the key, its value, "paper" or "assumed", what may replace it, where or why."""
    defaults = task.config()
    return [
        (key, shown(getattr(defaults, key)), p.source, may_be(p), p.where) for key, p in provenance(task.config).items()
    ]


def _section(task: Task) -> str:
    rows = [["key", "value", "from", "may be", "where or why"]]
    rows += [[f"`{key}`", *rest] for key, *rest in values(task)]
    variants = [["variant", "label", "values"]]
    variants += [[f"`{name}`", v.label, _values(v.settings)] for name, v in task.variants.items()]
    profiles = [["profile", "what for", "values"]]
    profiles += [[f"`{name}`", p.about, _values(p.settings)] for name, p in task.profiles.items()]
    tables = "\n\n".join(map(markdown_table, (rows, variants, profiles)))
    return f"## {task.name}\n\n{task.about}\n\n{tables}\n"


def _values(settings: Mapping[str, Value]) -> str:
    return ", ".join(f"`{key}={shown(value)}`" for key, value in settings.items())


def shown(value: Value) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) and float(f"{value:.15g}") == value else str(value)


def may_be(p: Provenance) -> str:
    """What may replace a value: choices, or a range."""
    if p.choices:
        return ", ".join(map(shown, p.choices))
    if isinstance(p.introduced, bool):
        return "true, false"
    if isinstance(p.introduced, str):
        return "any text"
    low, high = (None if abs(bound) >= REAL else shown(bound) for bound in (p.low, p.high))
    if low is None or high is None:
        return f"from {low}" if low is not None else f"to {high}" if high is not None else "any number"
    return low if low == high else f"{low} to {high}"
