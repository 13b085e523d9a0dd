"""Figure 4g, h: learning curves: length solved against iterations, perplexity against epochs."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from paper_figures import style
from paper_figures.fig4d import source_of
from paper_figures.table import Table

TOP, BOTTOM, LEFT, RIGHT = 0.6, 0.38, 0.45, 1.35  # inches
ASIDE = "bptt_20_two_layers"  # not in the paper's panel but in its text: dashed
THIN: dict[str, Any] = {"lw": 0.4, "alpha": 0.5}


def panel_g(figure: style.Panel, table: Table) -> None:
    """Mean length over seeds, thin lines of single seeds, against batches at the left and weight updates at the right;
    all rise in steps. A ring where runs are unfinished."""
    table = table.with_unfinished()
    style.head(figure, "g", "Longest sequence solved so far")
    style.note(figure, f"{_seeds(table)}\nfull BPTT updates weights once a batch, the others once a window")
    both = style.grid(figure, 1, 2, left=LEFT, right=RIGHT, top=TOP, bottom=BOTTOM, between=(0.12, 0), sharey=True)[0]
    lengths = table.curves("length_solved")
    if not lengths:
        for axes in both:
            style.missing(axes, "no run finished")
        return
    updates, ends = _updates(table), {}
    for variant, curves in in_order(table, lengths):
        _stairs(both[0], curves, style.COLOURS[variant])
        last, value = _stairs(both[1], curves, style.COLOURS[variant], updates[variant])
        ends[variant] = style.End(value, style.COLOURS[variant], last)
        for axes, at in zip(both, (None, updates[variant]), strict=True):
            _ring(axes, table, variant, curves, at)
    top = max(np.nanmax(curves) for curves in lengths.values())
    for axes, name in zip(both, ("10³ batches", "10³ weight updates"), strict=True):
        drawn = [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in axes.lines]
        risen, last = [x[y > 0] for x, y in drawn], max(x.max() for x, _ in drawn)
        axes.set(xscale="log", xlim=(min([last / 10, *(x[0] for x in risen if len(x))]), last), xlabel=name)
        style.plain_log(axes.xaxis)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number / 1000:g}"))
    both[0].set(ylim=(0, 1.05 * max(top, 5)), ylabel="steps")
    both[0].yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    _labels(both[1], table, ends)


def _updates(table: Table) -> dict[str, np.ndarray]:
    """Variant -> weight updates up to the end of each batch, [seed, batch]: one a window, of full BPTT one a batch."""
    counts = {}
    for variant, lengths in table.curves("length").items():
        steps = table.example(variant)[0].config["truncation_steps"]
        counts[variant] = np.cumsum(np.ceil(lengths / steps) if steps else np.ones_like(lengths), axis=1)
    return counts


def panel_h(figure: style.Panel, table: Table) -> None:
    """Perplexity of the validation text after each epoch, mean over seeds, thin lines of single seeds; a ring where
    runs are unfinished."""
    table = table.with_unfinished()
    style.head(figure, "h", "Perplexity in training")
    style.note(figure, f"{source_of(table)}, validation text\n{_seeds(table)}")
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
        end = len(mean) if table.progress(variant) else None
        ends[variant] = style.End(float(mean[-1]), colour, end)
    floor = (
        min(end.value for end in ends.values()) / 1.08
    )  # so that the names of the lowest curves stand within the axis
    axes.set(yscale="log", xlim=(0, wanted), ylim=(floor, None), xlabel="epoch", ylabel="perplexity")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))  # of a decade, whose own ticks would be few
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    _labels(axes, table, ends)


def _seeds(table: Table) -> str:
    """What the lines are."""
    several = any(len(table.values(variant, "seed")) > 1 for variant in table.task.variants)
    text = "mean, and single seeds (thin)" if several else "one seed each"
    unfinished = any(table.progress(variant) for variant in table.task.variants)
    return f"{text}; ring: unfinished, dots lead to its name" if unfinished else text


def in_order(table: Table, curves: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Variants and their curves in the task's order."""
    return [(variant, curves[variant]) for variant in table.task.variants if variant in curves]


def common(curves: np.ndarray) -> np.ndarray:
    """Curves [seed, iteration] as far as every seed has come."""
    return curves[:, : int((~np.isnan(curves).any(0)).sum())]


def _stairs(axes: Axes, curves: np.ndarray, colour: str, at: np.ndarray | None = None) -> tuple[float, float]:
    """Draw curves [seed, iteration] that rise in steps, and their mean, by the points where they change; return where
    the mean ends, and at which value. `at` [seed, iteration] are their positions on the axis, iterations if None."""
    at = np.broadcast_to(np.arange(1, curves.shape[1] + 1), curves.shape) if at is None else at
    seeds = []
    for curve, places in zip(curves, at, strict=True):
        points, values = corners(curve[~np.isnan(curve)])
        seeds.append((places[points - 1], values))
        axes.plot(*seeds[-1], **THIN, color=colour, drawstyle="steps-post")
    end = min(places[-1] for places, _ in seeds)
    grid = np.unique([place for places, _ in seeds for place in places if place <= end])
    on_grid = [np.append(0, values)[np.searchsorted(places, grid, side="right")] for places, values in seeds]
    mean = np.mean(on_grid, axis=0)
    axes.plot(grid, mean, color=colour, drawstyle="steps-post")
    return float(grid[-1]), float(mean[-1])


def _ring(axes: Axes, table: Table, variant: str, curves: np.ndarray, at: np.ndarray | None = None) -> None:
    """Mark where the mean of curves [seed, iteration] ends for now, if their runs are unfinished; for `at` see
    `_stairs`."""
    if table.progress(variant):
        mean = common(curves).mean(0)
        end = len(mean) if at is None else at[:, len(mean) - 1].min()
        look: dict[str, Any] = {"mfc": "white", "mec": style.COLOURS[variant], "mew": 0.8}
        axes.plot(end, mean[-1], marker="o", ms=3, **look)


def corners(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The iterations (from 1) and values of a curve [iteration] at its ends and where it changes."""
    kept = np.unique([0, *(np.flatnonzero(np.diff(curve)) + 1), len(curve) - 1])
    return kept + 1, curve[kept]


def _labels(axes: Axes, table: Table, ends: dict[str, style.End]) -> None:
    label = {variant: short(about.label) for variant, about in table.task.variants.items()}
    absent = {why: [label[v] for v in label if table.absence(v) == why] for why in ("failed", "not run")}
    style.label_ends(axes, {label[v]: end for v, end in ends.items()}, absent, gap=0.085)


def short(label: str) -> str:
    """A label short enough for the end of a curve."""
    for whole, brief in (("truncated", "trunc."), ("eligibility ", ""), (", 20 steps, two", ", two")):
        label = label.replace(whole, brief)
    return label
