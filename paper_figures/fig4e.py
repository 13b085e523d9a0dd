"""Figure 4e, f: final results of each method: longest sequence solved, and perplexity."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper_figures import rows, style
from paper_figures.fig4d import source_of
from paper_figures.table import Table
from repro.claims.stats import interval_of_mean

TOP, BOTTOM, LEFT, RIGHT = 0.98, 0.38, 1.02, 0.1  # inches
LITERATURE = "Jaderberg et al."
OTHERS: dict[str, Any] = style.PAPER | {"color": "white", "mec": style.GREY, "mew": 0.7}  # of another group
READING = "of the test text, which the paper names for 122.67 only"


class Seeds(NamedTuple):
    """The runs of a row: value [seed]; whether it still changes [seed]; the progress of unfinished runs, else empty."""

    values: np.ndarray
    rising: np.ndarray
    progress: str


def panel_e(figure: style.Panel, table: Table) -> None:
    """A row a variant: mean length of the longest sequence solved, 95 % interval, one dot per seed (a triangle if it
    still rose); the paper's value, and another group's. Points of unfinished runs are hollow."""
    table = table.with_unfinished()
    style.head(figure, "e", "Longest sequence solved")
    how = "P (R + 1) + 3 steps: P characters, stop, count, R copies, stop"
    style.note(figure, f"{table.of_seeds('mean')}\n{how}")
    seeds = {variant: _lengths(table, variant) for variant in table.task.variants}
    paper, others = table.claimed("4e"), {} if table.stamp else table.claimed("text")
    axes = _rows(figure, table, seeds, paper, "{:.3g}", "iterations")
    for variant, value in others.items():
        axes.plot(value, list(seeds).index(variant) + rows.ABOVE, **OTHERS)
    shown = [*_drawn(seeds), *others.values(), *(() if table.stamp else paper.values()), 5]
    axes.set(xlim=(0, 1.08 * max(shown)), xlabel="steps")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    look = {"marker": ">", "mfc": "white", "mec": style.GREY, "mew": 0.6}
    more = [style.mark("still rose", style.GREY, **look)] if any(runs.rising.any() for runs in seeds.values()) else []
    _key(figure, table, seeds, bool(paper), [*more, *([style.mark(LITERATURE, **OTHERS)] if others else [])])


def _lengths(table: Table, variant: str) -> Seeds:
    """A run's length is a lower bound where its curve had not flattened."""
    rising = table.values(variant, "flattened") == 0
    return Seeds(table.values(variant, "length_solved"), rising, table.progress(variant))


def panel_f(figure: style.Panel, table: Table) -> None:
    """A row a variant: mean perplexity after the last epoch, 95 % interval, one dot per seed, the paper's value. Points
    of unfinished runs are hollow, and an arrow stands for those beyond the axis, which finished runs decide."""
    table = table.with_unfinished()
    style.head(figure, "f", "Perplexity (lower is better)")
    style.note(figure, f"{source_of(table)}: {table.of_seeds('mean')}\n{READING}")
    seeds = {variant: _perplexities(table, variant) for variant in table.task.variants}
    paper = table.claimed("4f") | table.claimed("text")
    axes = _rows(figure, table, seeds, paper, "{:.4g}", "epochs")
    finished = _drawn({variant: runs for variant, runs in seeds.items() if not runs.progress})
    shown = [*(finished or _drawn(seeds) or [100.0, 200.0]), *(() if table.stamp else paper.values())]
    span = max(max(shown) - min(shown), 0.05 * max(shown))
    axes.set(xlim=(max(min(shown) - 0.15 * span, 0), max(shown) + 0.25 * span), xlabel="perplexity")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    _arrows(axes, seeds)
    _key(figure, table, seeds, bool(paper), [])


def _perplexities(table: Table, variant: str) -> Seeds:
    """A perplexity has no mark for curves that still fall."""
    values = table.values(variant, "perplexity")
    return Seeds(values, np.zeros(len(values), bool), table.progress(variant))


def _drawn(seeds: Mapping[str, Seeds]) -> list[float]:
    """All values and ends of intervals."""
    values = [runs.values for runs in seeds.values()]
    ends = [np.array(interval_of_mean(each)) for each in values if len(each) > 1]
    return [float(value) for value in np.concatenate([*values, *ends]) if np.isfinite(value)]


def _rows(
    figure: style.Panel,
    table: Table,
    seeds: Mapping[str, Seeds],
    paper: Mapping[str, float],
    form: str,
    iterations: str,
) -> Axes:
    """Rows and the numbers at their right; the paper's values above them if runs are of its size and data.
    `iterations` is the task's name for its iterations."""
    columns = _columns(table, seeds, paper, form.format, iterations)
    labels = {variant: two_lines(table.task.variants[variant].label) for variant in seeds}
    width = style.size(figure)[0] - LEFT - RIGHT
    axes = rows.make(figure, labels, columns, left=LEFT, width=width, top=TOP, bottom=BOTTOM)
    for row, (variant, runs) in enumerate(seeds.items()):
        draw(axes, row, runs, style.COLOURS[variant])
        rows.lost(axes, row, table.failures(variant), style.COLOURS[variant])
    for variant, value in paper.items() if not table.stamp else ():
        rows.paper(axes, list(seeds).index(variant), value)
    return axes


def draw(axes: Axes, row: int, runs: Seeds, colour: str) -> None:
    """One variant's runs; a hollow point if they are unfinished."""
    values, rising, progress = runs
    if not len(values):
        return
    interval = interval_of_mean(values) if len(values) > 1 else None
    rows.point(axes, row, float(values.mean()), interval, colour, hollow=bool(progress))
    if len(values) > 1 or rising.any():
        rows.seeds(axes, row, values[~rising], colour)
        rows.seeds(axes, row, values[rising], colour, **rows.RISING, s=8, alpha=1)


def _arrows(axes: Axes, seeds: Mapping[str, Seeds]) -> None:
    """An arrow at the right end of rows whose mean lies beyond it."""
    for row, (variant, runs) in enumerate(seeds.items()):
        if len(runs.values) and runs.values.mean() > axes.get_xlim()[1]:
            arrow = {"arrowstyle": "-|>", "lw": 0.9, "color": style.COLOURS[variant], "mutation_scale": 7}
            axes.annotate("", (1, row), (0.86, row), axes.get_yaxis_transform(), arrowprops=arrow)


def _columns(
    table: Table,
    seeds: Mapping[str, Seeds],
    paper: Mapping[str, float],
    form: Callable[[float], str],
    iterations: str,
) -> list[rows.Column]:
    """The numbers beside the points; iterations only where some are lacking, seeds only where rows differ in them."""
    ours = {v: table.absence(v) or _mean(runs, form) for v, runs in seeds.items()}
    pale = (0.6, "paper (PTB)") if table.source else (0.84, "paper (full size)")
    name = pale if table.stamp else (0.46, "paper")
    columns: list[rows.Column] = [(0.45, "ours", ours), (*name, {v: f"{value:g}" for v, value in paper.items()})]
    if any(runs.progress for runs in seeds.values()):
        done = {v: _done(table, v, runs.progress) for v, runs in seeds.items() if len(runs.values)}
        columns.append((0.06 * max(map(len, [iterations, *done.values()])), iterations, done))
    there = [variant for variant in seeds if table.absence(variant) != "not run"]
    return columns + (table.seeds_column(0.36, *there) if there else [])


def _mean(runs: Seeds, form: Callable[[float], str]) -> str:
    """The mean as text: a lower bound if a seed still rose, in brackets if runs are unfinished."""
    text = f"{'≥ ' if runs.rising.any() else ''}{form(float(runs.values.mean()))}"
    return f"({text})" if runs.progress else text


def _done(table: Table, variant: str, progress: str) -> str:
    """How many iterations the runs of a variant have done: "20", or "7 of 20"."""
    return progress.removesuffix(" iterations") or str(table.example(variant)[0].config["iterations"])


def _key(figure: style.Panel, table: Table, seeds: Mapping[str, Seeds], paper: bool, more: list[Any]) -> None:
    """What the marks mean, in two rows."""
    hollow = rows.POINT | {"mfc": "white"}
    if any(runs.progress for runs in seeds.values()):
        more = [style.mark("unfinished", style.GREY, **hollow), *more]
    entries = rows.handles("mean", table.several(), paper and not table.stamp, *more)
    style.key(figure, entries, (0.1, 0.53), columns=min(len(entries), 4))


def two_lines(label: str) -> str:
    """A long label, broken where its second part begins."""
    for mark in (" + ", ", tr", ", two "):
        head, separator, tail = label.partition(mark)
        if separator:
            return f"{head}{mark.replace(' ', chr(10), 1)}{tail}"
    return label
