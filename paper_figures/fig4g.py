"""Figure 4g, h: learning curves: length solved against iterations, perplexity against epochs."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from paper_figures import style
from paper_figures.fig4d import source_of
from paper_figures.fig4e import ASIDE
from paper_figures.table import Table

TOP, BOTTOM, LEFT, RIGHT = 0.5, 0.38, 0.45, 1.4  # inches
THIN: dict[str, Any] = {"lw": 0.4, "alpha": 0.5}


def panel_g(figure: style.Panel, table: Table) -> None:
    """Mean length over seeds against iterations, thin lines of single seeds; both rise in steps. A ring where runs are
    unfinished."""
    table = table.with_unfinished()
    style.head(figure, "g", f"Longest sequence solved so far{_seeds(table)}")
    axes = style.grid(figure, 1, 1, left=LEFT, right=RIGHT, top=TOP, bottom=BOTTOM)[0, 0]
    lengths = table.curves("length_solved")
    if not lengths:
        style.missing(axes, "no run finished")
        return
    ends = {}
    for variant, curves in in_order(table, lengths):
        ends[variant] = _stairs(axes, curves, style.COLOURS[variant])
        _ring(axes, table, variant, curves)
    solved = np.concatenate([np.flatnonzero((curves > 0).any(0)) + 1 for curves in lengths.values()])
    last = max(curves.shape[1] for curves in lengths.values())
    top = max(np.nanmax(curves) for curves in lengths.values())
    axes.set(xscale="log", xlim=(min([last / 10, *solved]), last), ylim=(0, 1.05 * max(top, 5)))
    axes.set(xlabel="iteration", ylabel="steps")
    style.plain_log(axes.xaxis)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    _labels(axes, table, ends)


def panel_h(figure: style.Panel, table: Table) -> None:
    """Perplexity of the validation text after each epoch, mean over seeds, thin lines of single seeds; a ring where
    runs are unfinished."""
    table = table.with_unfinished()
    style.head(figure, "h", f"Perplexity of the validation text{_seeds(table)}")
    style.note(figure, *source_of(table))
    axes = style.grid(figure, 1, 1, left=LEFT, right=RIGHT, top=TOP, bottom=BOTTOM)[0, 0]
    perplexities = table.curves("valid_perplexity")
    if not perplexities:
        style.missing(axes, "no run finished")
        return
    wanted = max(int(table.example(variant)[0].config["iterations"]) for variant in perplexities)
    ends = {}
    for variant, curves in in_order(table, perplexities):
        colour, dashes = style.COLOURS[variant], (0, (2, 1.5)) if variant == ASIDE else "-"
        epoch, mean = np.arange(1, curves.shape[1] + 1), common(curves).mean(0)
        axes.plot(epoch, curves.T, **THIN, color=colour, ls=dashes)
        axes.plot(epoch[: len(mean)], mean, color=colour, ls=dashes)
        _ring(axes, table, variant, curves)
        ends[variant] = float(mean[-1])
    floor = min(ends.values()) / 1.08  # so that the names of the lowest curves stand within the axis
    axes.set(yscale="log", xlim=(0, wanted), ylim=(floor, None), xlabel="epoch", ylabel="perplexity")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))  # of a decade, whose own ticks would be few
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    _labels(axes, table, ends)


def _seeds(table: Table) -> str:
    """Names the lines in the head if there are several seeds."""
    several = any(len(table.values(variant, "seed")) > 1 for variant in table.task.variants)
    return ": mean, and single seeds" if several else ""


def in_order(table: Table, curves: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Variants and their curves in the task's order."""
    return [(variant, curves[variant]) for variant in table.task.variants if variant in curves]


def common(curves: np.ndarray) -> np.ndarray:
    """Curves [seed, iteration] as far as every seed has come."""
    return curves[:, : int((~np.isnan(curves).any(0)).sum())]


def _stairs(axes: Axes, curves: np.ndarray, colour: str) -> float:
    """Draw curves [seed, iteration] that rise in steps, and their mean, by the points where they change; return where
    the mean ends."""
    for curve in curves:
        axes.plot(*corners(curve[~np.isnan(curve)]), **THIN, color=colour, drawstyle="steps-post")
    mean = common(curves).mean(0)
    axes.plot(*corners(mean), color=colour, drawstyle="steps-post")
    return float(mean[-1])


def _ring(axes: Axes, table: Table, variant: str, curves: np.ndarray) -> None:
    """Mark where the mean of curves [seed, iteration] ends for now, if their runs are unfinished."""
    if table.progress(variant):
        mean = common(curves).mean(0)
        look: dict[str, Any] = {"mfc": "white", "mec": style.COLOURS[variant], "mew": 0.8}
        axes.plot(len(mean), mean[-1], marker="o", ms=3, **look)


def corners(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The iterations (from 1) and values of a curve [iteration] at its ends and where it changes."""
    kept = np.unique([0, *(np.flatnonzero(np.diff(curve)) + 1), len(curve) - 1])
    return kept + 1, curve[kept]


def _labels(axes: Axes, table: Table, ends: dict[str, float]) -> None:
    label = {variant: short(about.label) for variant, about in table.task.variants.items()}
    absent = {why: [label[v] for v in label if table.absence(v) == why] for why in ("failed", "not run")}
    style.label_ends(axes, {label[v]: (y, style.COLOURS[v]) for v, y in ends.items()}, absent, gap=0.075)


def short(label: str) -> str:
    """A label short enough for the end of a curve."""
    return label.replace("truncated", "trunc.").replace("eligibility ", "")
