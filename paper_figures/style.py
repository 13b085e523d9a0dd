"""Shared parts of the figures: heads, tags, keys, rasters, names of curves. `repro.drawing` has the rest."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from paper_figures.colours import COLOURS, ink
from repro.drawing import GREY, INK, SMALL, WARNING, WIDTH, Panel, grid, plain_log, render, save, size, theme

__all__ = ["COLOURS", "GREY", "INK", "SMALL", "WARNING", "WIDTH", "Panel", "grid", "ink", "plain_log", "render"]
__all__ += ["save", "size", "theme"]

GAP = 0.057  # smallest distance of two lines of text at the right of an axis, as a share of its height
PALE = "#c8c8c8"
DASHED = (0, (4, 3))
PAPER: dict[str, Any] = {"marker": "D", "ms": 3.8, "ls": "", "color": INK, "mec": "white", "mew": 0.5, "zorder": 6}


class End(NamedTuple):
    """The end of a curve: its last value, its colour, and where it ends if that is before the axis does."""

    value: float
    colour: str
    at: float | None = None


def head(figure: Panel, letter: str, caption: str, left: float = 0.06, top: float = 0.15) -> None:
    """A panel's letter, `left` and `top` inches from its edges, and the caption at its right, on one line."""
    width, height = size(figure)
    y = 1 - top / height
    figure.text(left / width, y, letter, fontsize=9, fontweight="bold")
    figure.text((left + 0.18) / width, y, caption)


def note(figure: Panel, text: str, left: float = 0.24, top: float = 0.23) -> None:
    """A small line below the head of a panel, or several."""
    width, height = size(figure)
    figure.text(left / width, 1 - top / height, text, va="top", fontsize=SMALL, color=GREY)


def tag(figure: Panel, text: str) -> None:
    """Write how the runs differ from the paper's in a frame at the right of the head."""
    width, height = size(figure)
    frame = {"facecolor": "white", "edgecolor": WARNING, "linewidth": 0.6, "boxstyle": "round,pad=0.25"}
    look: dict[str, Any] = {"ha": "right", "color": WARNING, "fontsize": SMALL, "bbox": frame, "zorder": 9}
    figure.text(1 - 0.08 / width, 1 - 0.15 / height, text, **look)


def key(figure: Panel, handles: Sequence[Any], at: tuple[float, float], columns: int = 0, **look: Any) -> None:
    """A legend whose upper right corner is `at` inches from the right and the top of a panel; in one row unless
    `columns` are given."""
    width, height = size(figure)
    place = (1 - at[0] / width, 1 - at[1] / height)
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=place, ncols=columns or len(handles), **look)


def line(label: str, colour: str = INK, **look: Any) -> Line2D:
    """A line of a legend."""
    return Line2D([], [], color=colour, label=label, **look)


def mark(label: str, colour: str = INK, **look: Any) -> Line2D:
    """A marker of a legend."""
    given: dict[str, Any] = {"color": colour, "ls": "", "marker": "o", "ms": 3.5} | look
    return Line2D([], [], label=label, **given)


def name_row(axes: Axes, name: str, gap: float = 18) -> None:
    """Name a row of a grid at its left, `gap` points from it."""
    axes.annotate(name, (0, 0.5), (-gap, 0), "axes fraction", "offset points", ha="right", va="center")


def raster(axes: Axes, spikes: np.ndarray, width: float, colour: str = INK) -> None:
    """One tick per spike; spikes [neuron, time]."""
    neuron, time = np.nonzero(spikes)
    axes.vlines(time, neuron + 0.1, neuron + 0.9, color=colour, lw=width)
    axes.set(xlim=(0, spikes.shape[1]), ylim=(0, max(len(spikes), 1)), yticks=[])


def missing(axes: Axes, text: str) -> None:
    """Draw empty dashed axes with a text in the middle."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=PALE, linestyle=(0, (4, 4)))
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, style="italic", transform=axes.transAxes)


def label_ends(
    axes: Axes, ends: Mapping[str, End], absent: Mapping[str, Sequence[str]], gap: float = GAP, right: float = 1.05
) -> None:
    """Name curves at the right of the axis, label -> end, at least `gap` from each other, each joined to the end of its
    curve; above them the labels that are absent, reason -> labels."""
    scale = np.log if axes.get_yscale() == "log" else np.asarray
    bottom, top = scale(axes.get_ylim())
    notes = [text for reason, labels in absent.items() if labels for text in (f"{reason}:", *labels)]
    lines: list[tuple[float, str, End | None]]
    lines = sorted(((scale(end.value) - bottom) / (top - bottom), name, end) for name, end in ends.items())
    lines += [(0.99 - gap * i, text, None) for i, text in reversed(list(enumerate(notes)))]
    for height, (y, text, end) in zip(spread([y for y, _, _ in lines], gap), lines, strict=True):
        slant, colour = ("italic", GREY) if end is None else ("normal", ink(end.colour))
        axes.text(right, height, text, color=colour, style=slant, transform=axes.transAxes, va="center")
        if end is not None:
            across = np.log if axes.get_xscale() == "log" else np.asarray
            left, last = across(axes.get_xlim())
            start = 1.0 if end.at is None else (across(end.at) - left) / (last - left)
            path = [start, 1.005, right - 0.01], [y, y, height]
            axes.plot(*path, color=end.colour, lw=0.5, ls=(0, (1, 1)), transform=axes.transAxes, clip_on=False)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved as little as need be until neighbours are `gap` apart."""
    moved = list(heights)
    for _ in range(100):
        for i in range(len(moved) - 1):
            push = (gap - (moved[i + 1] - moved[i])) / 2
            if push > 0:
                moved[i], moved[i + 1] = moved[i] - push, moved[i + 1] + push
    return moved
