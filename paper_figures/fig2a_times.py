"""Figure 2a, below: iterations until a network solves the store-recall task, and the share that has not (task 1.2)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from paper_figures import rows, style
from paper_figures.table import Table
from repro.claims.survival import curve, interval_of_median, median

DECODED = "e_prop_1_decoding"  # that of 2b, which does not stop when it has solved the task: no row
Times = dict[str, tuple[np.ndarray, np.ndarray]]  # variant -> iterations, and whether they are lower bounds


def times(figure: style.Panel, table: Table, top: float) -> None:
    """Below `top` inches: the median of each variant (Kaplan-Meier), and the share of runs that have not solved the
    task against iterations."""
    variants = [variant for variant in table.task.variants if variant != DECODED]
    style.head(figure, "", f"Iterations to 5 % error: {table.of_seeds('median', *variants)}", top=top + 0.15)
    style.head(figure, "", "Share of runs that have not solved the task", left=3.85, top=top + 0.15)
    found = {variant: table.times(variant, "iterations") for variant in variants}
    ends = np.concatenate([iterations for iterations, _ in found.values()])
    shown = [*ends[np.isfinite(ends)], *table.printed("2a").values()] or [10.0]
    limits = (10 ** np.floor(np.log10(min(shown) / 1.2)), max(shown) * 1.35)
    margins: dict[str, Any] = {"top": top + 0.57, "bottom": 0.38}
    for axes in (
        _medians(figure, table, found, left=1.0, width=2.75, **margins),
        _survival(figure, table, found, left=4.4, right=1.08, **margins),
    ):
        axes.set(xscale="log", xlim=limits, xlabel="iterations")
        style.plain_log(axes.xaxis)
    _key(figure, table, found, top + 0.27)


def _medians(figure: style.Panel, table: Table, found: Times, **place: Any) -> Axes:
    """A row a variant: the median with its 95 % interval where it is known, a mark a seed, the paper's value."""
    paper, variants = table.printed("2a"), list(found)
    solved = {v: f"{(~never).sum()} of {len(never)}" for v, (_, never) in found.items() if not table.absence(v)}
    columns: list[rows.Column] = [(0.46, "ours", {variant: _ours(table, variant) for variant in variants})]
    if paper:
        columns.append((0.4, "paper", {v: f"{value:.0f}" for v, value in paper.items()}))
    columns.append((0.56, "solved", solved))
    axes = rows.make(figure, {v: table.task.variants[v].label for v in variants}, columns, **place)
    for row, (variant, (iterations, never)) in enumerate(found.items()):
        draw(axes, row, iterations, never, style.COLOURS[variant])
        rows.lost(axes, row, table.failures(variant), style.COLOURS[variant])
    for variant, value in paper.items():
        rows.paper(axes, variants.index(variant), value)
    return axes


def draw(axes: Axes, row: int, iterations: np.ndarray, never: np.ndarray, colour: str) -> None:
    """One variant's runs [seed]; an open mark for those that did not solve the task."""
    trained = iterations[np.isfinite(iterations)]
    if not len(trained):
        return
    middle = median(iterations, never)
    if np.isfinite(middle):
        low, high = np.minimum(interval_of_median(iterations, never), trained.max())
        rows.point(axes, row, middle, None if np.isnan(low) else (low, high), colour)
    rows.seeds(axes, row, iterations[~never], colour)
    given_up = iterations[never & np.isfinite(iterations)]
    rows.seeds(axes, row, given_up, colour, **rows.RISING, s=8, alpha=1)


def _survival(figure: style.Panel, table: Table, found: Times, **place: Any) -> Axes:
    """Kaplan-Meier curves."""
    axes: Axes = style.grid(figure, 1, 1, **place)[0, 0]
    axes.axhline(0.5, color=style.PALE, lw=0.6, ls=style.DASHED, zorder=0)
    ends = {}
    for variant, (iterations, never) in found.items():
        trained = iterations[np.isfinite(iterations)]
        if len(trained):
            at, left, _, _ = curve(iterations, never)
            steps = np.array([1.0, *at, trained.max()]), np.array([1.0, *left, left[-1] if len(left) else 1.0])
            colour = style.COLOURS[variant]
            axes.plot(*steps, color=colour, drawstyle="steps-post", ls=_dashes(variant))
            ends[table.task.variants[variant].label] = style.End(steps[1][-1], colour, steps[0][-1])
    axes.set(ylim=(-0.03, 1.04), yticks=[0, 0.5, 1])
    axes.set(xscale="log")
    if ends:
        _name(axes, ends)
    return axes


def _dashes(variant: str) -> Any:
    """Networks without adaptive neurons are drawn dashed: their greys are near to BPTT's black."""
    return (0, (3, 1.5)) if variant.startswith("lif_only") else "-"


def _name(axes: Axes, ends: dict[str, style.End]) -> None:
    """The names of the curves at the right, each at the height of its end."""
    heights = style.spread(sorted((end.value + 0.03) / 1.07 for end in ends.values()), 0.1)
    above, below = max(0.04 - heights[0], 0), max(heights[-1] - 0.98, 0)  # so that none leaves the axis
    heights = [height + above - below for height in heights]
    for height, (name, end) in zip(heights, sorted(ends.items(), key=lambda item: item[1].value), strict=True):
        axes.text(1.03, height, name, color=style.ink(end.colour), va="center", transform=axes.transAxes)


def _ours(table: Table, variant: str) -> str:
    if table.absence(variant):
        return table.absence(variant)
    iterations, never = table.times(variant, "iterations")
    middle = median(iterations, never)
    return f"{middle:.0f}" if np.isfinite(middle) else f"> {iterations[np.isfinite(iterations)].max():.0f}"


def _key(figure: style.Panel, table: Table, found: Times, top: float) -> None:
    """What the marks mean."""
    given_up = np.unique(
        np.concatenate([iterations[never & np.isfinite(iterations)] for iterations, never in found.values()])
    )
    last = " or ".join(f"{number:.0f}" for number in given_up)
    look: dict[str, Any] = {"marker": ">", "mfc": "white", "mec": style.GREY, "mew": 0.6}
    more = [style.mark(f"not solved in {last}", style.GREY, **look)] if last else []
    more += [style.mark("paper (averages)", **style.PAPER)] if table.printed("2a") else []
    entries = rows.handles("median", table.several(*found), False, *more)
    style.key(figure, entries, (0.15, top))
