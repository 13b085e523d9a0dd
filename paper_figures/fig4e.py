"""Figure 4e, f: final results of each method: longest sequence solved, and perplexity."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.fig4d import source_of
from paper_figures.table import Table
from repro.claims.stats import interval_of_mean

TOP, BOTTOM, LEFT, RIGHT = 0.7, 0.38, 1.05, 0.1  # inches
ASIDE = "bptt_20_two_layers"  # not in the paper's panel but in its text; drawn fainter
LITERATURE = "Jaderberg et al."
RISING = "\N{WHITE RIGHT-POINTING TRIANGLE}"
READING = "reading: of the test text (the paper states this of 122.67 only)"


class Seeds(NamedTuple):
    """The runs of a bar: value [seed]; whether it still changes [seed]; the progress of unfinished runs, else empty."""

    values: np.ndarray
    rising: np.ndarray
    progress: str


def panel_e(figure: style.Panel, table: Table) -> None:
    """One bar per variant: mean length of the longest sequence solved, 95 % interval, one dot per seed (a triangle if
    it still rose); the paper's value, and another group's. Bars of unfinished runs are open and dashed."""
    table = table.with_unfinished()
    style.head(figure, "e", f"Longest sequence solved: {table.of_seeds('mean')}")
    style.note(figure, "P (R + 1) + 3 steps: pattern of P characters, stop, count, R copies, stop")
    seeds = {variant: _lengths(table, variant) for variant in table.task.variants}
    paper, others = table.claimed("4e"), {} if table.stamp else table.claimed("text")
    axes = _bars(figure, table, seeds, paper, "{:.3g}", "iterations")
    for variant, value in others.items():
        _literature(axes, value, list(seeds).index(variant))
    rising = any(runs.rising.any() for runs in seeds.values())
    shown = [*np.concatenate([runs.values for runs in seeds.values()]), *others.values()]
    shown += [] if table.stamp else [*paper.values()]
    shown += [interval_of_mean(runs.values)[1] for runs in seeds.values() if len(runs.values) > 1]
    axes.set(xlim=(0, 1.08 * max([*shown, 5])), xlabel=f"steps ({RISING}: still rose)" if rising else "steps")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))


def _lengths(table: Table, variant: str) -> Seeds:
    """A run's length is a lower bound where its curve had not flattened."""
    rising = table.values(variant, "flattened") == 0
    return Seeds(table.values(variant, "length_solved"), rising, table.progress(variant))


def panel_f(figure: style.Panel, table: Table) -> None:
    """One bar per variant: mean perplexity after the last epoch, 95 % interval, one dot per seed, the paper's value.
    Bars of unfinished runs are open and dashed."""
    table = table.with_unfinished()
    style.head(figure, "f", f"Perplexity, lower is better: {table.of_seeds('mean')}")
    source, colour = source_of(table)
    style.note(figure, source, colour)
    style.note(figure, f"\n{READING}")
    seeds = {variant: _perplexities(table, variant) for variant in table.task.variants}
    paper = table.claimed("4f") | table.claimed("text")
    axes = _bars(figure, table, seeds, paper, "{:.4g}", "epochs")
    shown = [*np.concatenate([runs.values for runs in seeds.values()]), *([] if table.stamp else paper.values())]
    low, high = min(shown, default=100.0), max(shown, default=200.0)
    span = max(high - low, 0.05 * high)
    axes.set(xlim=(max(low - 0.6 * span, 0), high + 0.12 * span), xlabel="perplexity (axis not from 0)")
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


def _perplexities(table: Table, variant: str) -> Seeds:
    """A perplexity has no mark for curves that still fall."""
    values = table.values(variant, "perplexity")
    return Seeds(values, np.zeros(len(values), bool), table.progress(variant))


def _bars(
    figure: style.Panel,
    table: Table,
    seeds: Mapping[str, Seeds],
    paper: Mapping[str, float],
    form: str,
    iterations: str,
) -> Axes:
    """Bars and the numbers at their right; the paper's values across the bars if runs are of its size and data.
    `iterations` is the task's name for its iterations."""
    variants = list(seeds)
    columns = _columns(table, seeds, paper, form, iterations)
    numbers = sum(width for width, _, _ in columns)
    across = style.size(figure)[0] - LEFT - RIGHT
    axes, gutter = style.grid(
        figure, 1, 2, left=LEFT, right=RIGHT, top=TOP, bottom=BOTTOM, sharey=True,
        width_ratios=(across - numbers, numbers),
    )[0]  # fmt: skip
    for row, (variant, runs) in enumerate(seeds.items()):
        _bar(axes, row, runs, style.COLOURS[variant], faint=variant == ASIDE)
        style.lost(axes, table.failures(variant), row, style.COLOURS[variant])
    for variant, value in paper.items() if not table.stamp else ():
        style.diamond(axes, value, variants.index(variant))
    axes.set(ylim=(len(variants) - 0.4, -0.6))
    axes.set_yticks(range(len(variants)), [two_lines(table.task.variants[v].label) for v in variants])
    for label in axes.get_yticklabels():
        label.set_linespacing(1.0)
    axes.tick_params(axis="y", left=False)
    style.numbers(gutter, variants, columns, pale=(columns[1][1],) if table.stamp else ())
    return axes


def _bar(axes: Axes, row: int, runs: Seeds, colour: str, faint: bool = False) -> None:
    """One variant; an open, dashed bar if its runs are unfinished."""
    values, rising, progress = runs
    if not len(values):
        return
    outline: dict[str, Any] = {"fill": False, "edgecolor": colour, "lw": 0.6, "ls": (0, (3, 2)) if progress else "-"}
    look: dict[str, Any] = outline if progress or faint else {"color": colour, "alpha": 0.45}
    mean = values.mean()
    axes.barh(row, mean, 0.74, **look)
    if len(values) > 1:
        low, high = interval_of_mean(values)
        axes.errorbar(mean, row, xerr=[[mean - low], [high - mean]], color=style.INK, lw=0.8, capsize=1.5, zorder=4)
    height = row + style.jitter(len(values))
    style.dots(axes, values[~rising], row, colour)
    axes.scatter(values[rising], height[rising], s=7, marker=">", color="white", edgecolor=colour, lw=0.5, zorder=3)


def _literature(axes: Axes, value: float, row: int) -> None:
    """Another group's value; it is drawn and not compared."""
    axes.plot(value, row, marker="D", ms=3.4, mfc="white", mec=style.GREY, mew=0.7, zorder=5)
    at: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 6, "color": style.GREY}
    axes.annotate(LITERATURE, (value, row), (4, 0), **at)


def _columns(
    table: Table, seeds: Mapping[str, Seeds], paper: Mapping[str, float], form: str, iterations: str
) -> list[style.Column]:
    """The numbers behind the bars; iterations only where some are lacking, seeds only where bars differ in them."""
    ours = {v: table.absence(v) or form.format(runs.values.mean()) for v, runs in seeds.items()}
    pale = (0.66, "paper (PTB)") if table.source else (0.86, "paper (own size)")
    name = pale if table.stamp else (0.48, "\N{BLACK DIAMOND} paper")
    columns: list[style.Column] = [(0.38, "ours", ours), (*name, {v: f"{value:g}" for v, value in paper.items()})]
    if any(runs.progress for runs in seeds.values()):
        done = {v: _done(table, v, runs.progress) for v, runs in seeds.items() if len(runs.values)}
        columns.append((0.06 * max(map(len, [iterations, *done.values()])), iterations, done))
    counts = {variant: table.count(variant) for variant in seeds if table.absence(variant) != "not run"}
    if len(set(counts.values())) > 1:
        columns.append((0.36, "seeds", counts))
    return columns


def _done(table: Table, variant: str, progress: str) -> str:
    """How many iterations the runs of a variant have done: "20", or "7 of 20"."""
    return progress.removesuffix(" iterations") or str(table.example(variant)[0].config["iterations"])


def two_lines(label: str) -> str:
    """A long label, broken where its second part begins."""
    for mark in (" + ", ", tr", ", two "):
        head, separator, tail = label.partition(mark)
        if separator:
            return f"{head}{mark.replace(' ', chr(10), 1)}{tail}"
    return label
