"""Rows of final results, a row a variant: a point with its interval, a dot a seed, the paper's value, and numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from paper_figures import style
from repro.claims.stats import interval_of_mean

Column = tuple[float, str, Mapping[str, str]]  # width in inches, name, row -> text

BELOW = 0.24  # from the middle of a row down to its seeds
ABOVE = -0.27  # and up to the paper's value
POINT: dict[str, Any] = {"marker": "o", "ms": 4.4, "mew": 0.9, "zorder": 5}
RISING: dict[str, Any] = {"marker": ">", "color": "white", "lw": 0.6}  # of a lower bound


def make(
    figure: style.Panel, labels: Mapping[str, str], columns: Sequence[Column], *, width: float, **margins: Any
) -> Axes:
    """Axes with a row a label, variant -> label, and `columns` of numbers at their right; both are `width` inches."""
    numbers = sum(wide for wide, _, _ in columns)
    across = style.size(figure)[0]
    margins = {"right": across - margins["left"] - width} | margins
    axes, gutter = style.grid(figure, 1, 2, sharey=True, width_ratios=(width - numbers, numbers), **margins)[0]
    for row in range(len(labels)):
        axes.axhline(row, color="#ececec", lw=0.6, zorder=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), list(labels.values()), linespacing=1.0)
    axes.tick_params(axis="y", left=False)
    axes.spines.left.set_visible(False)
    _numbers(gutter, list(labels), columns)
    return axes


def mean(axes: Axes, row: int, values: np.ndarray, colour: str, **look: Any) -> None:
    """Seeds [seed], their mean and its 95 % interval; nothing if there are none."""
    if len(values):
        low, high = interval_of_mean(values)
        point(axes, row, float(values.mean()), (low, high) if len(values) > 1 else None, colour, **look)
    if len(values) > 1:
        seeds(axes, row, values, colour)


def point(
    axes: Axes, row: int, middle: float, interval: tuple[float, float] | None, colour: str, hollow: bool = False
) -> None:
    """A statistic and its interval; a hollow point for runs that are not finished or not in the paper's panel."""
    if interval is not None:
        axes.plot(interval, [row, row], color=colour, lw=1.6, solid_capstyle="butt", zorder=4)
    axes.plot(middle, row, **POINT, mfc="white" if hollow else colour, mec=colour)


def seeds(axes: Axes, row: int, values: np.ndarray, colour: str, **look: Any) -> None:
    """A small mark a seed [seed] below the point of a row."""
    if len(values):
        shown: dict[str, Any] = {"s": 6, "color": colour, "alpha": 0.65, "edgecolor": colour, "lw": 0, "zorder": 3}
        axes.scatter(values, row + BELOW + jitter(len(values)), **shown | look)


def jitter(number: int) -> np.ndarray:
    """Small heights [seed]: even, and the same at each drawing; none if there is one seed."""
    return np.asarray(0.22 * ((np.arange(number) * 0.618 + 0.5) % 1 - 0.5))


def paper(axes: Axes, row: int, value: float) -> None:
    """The value that the paper prints: a diamond above the point of a row."""
    axes.plot(value, row + ABOVE, **style.PAPER)


def lost(axes: Axes, row: int, runs: int, colour: str) -> None:
    """Lost runs at the right end of a row: a cross each, and above them, where no seeds are, their number."""
    if runs:
        across = axes.get_yaxis_transform()
        at, height = np.full(runs, 0.985), row + BELOW + jitter(runs)
        axes.scatter(at, height, s=8, marker="x", lw=0.8, color=colour, transform=across, zorder=5)
        above: dict[str, Any] = {"ha": "right", "va": "center", "style": "italic", "fontsize": style.SMALL}
        axes.text(0.985, row + ABOVE, f"{runs} lost", transform=across, zorder=6, **above)


def handles(statistic: str, several: bool, paper: bool, *more: Any, single: str = "one seed") -> list[Any]:
    """The entries of a key: the statistic, its interval and the seeds if there are `several`, or `single`; the paper's
    value."""
    middle = style.mark(statistic if several else single, style.GREY, **POINT | {"mec": style.GREY})
    spread = [style.line("95 % interval", style.GREY, lw=1.6), style.mark("seed", style.GREY, ms=2.2, alpha=0.65)]
    printed = [style.mark("paper", **style.PAPER)] if paper else []
    return [middle, *(spread if several else ()), *more, *printed]


def _numbers(gutter: Axes, rows: Sequence[str], columns: Sequence[Column]) -> None:
    """Columns of numbers, a line a row."""
    gutter.set_axis_off()
    gutter.set_xlim(0, sum(width for width, _, _ in columns))
    right = 0.0
    for width, name, texts in columns:
        right += width
        gutter.text(right, -0.85, name, ha="right", va="center_baseline", color=style.GREY, fontsize=style.SMALL)
        for row, variant in enumerate(rows):
            text = texts.get(variant, "")
            slant = "italic" if text[:1].isalpha() or text[:1] == "(" else "normal"  # "failed", "(164.8)": unfinished
            ink = style.GREY if name.startswith("paper") or text[:1] == "(" else style.INK
            gutter.text(right, row, text, ha="right", va="center_baseline", style=slant, color=ink)
