"""Shared parts of the figures: heads, rasters, rows of numbers, the stamp. `repro.drawing` has the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from paper_figures.colours import COLOURS
from repro.drawing import GREY, INK, WARNING, WIDTH, Panel, grid, plain_log, render, save, size, theme

__all__ = ["COLOURS", "GREY", "INK", "WARNING", "WIDTH", "Panel", "grid", "plain_log", "render", "save", "size"]
__all__ += ["theme"]

GAP = 0.057  # smallest distance of two lines of text at the right of an axis, as a share of its height
PALE = "#c8c8c8"

Column = tuple[float, str, Mapping[str, str]]  # width in inches, name, row -> text


def head(figure: Panel, letter: str, caption: str, left: float = 0.06, top: float = 0.15) -> None:
    """A panel's letter, `left` and `top` inches from its edges, and the caption at its right, on one line."""
    width, height = size(figure)
    y = 1 - top / height
    figure.text(left / width, y, letter, fontsize=9, fontweight="bold")
    figure.text((left + 0.18) / width, y, caption)


def note(figure: Panel, text: str, colour: str = GREY, left: float = 0.24) -> None:
    """A small line below the head of a panel, or several."""
    width, height = size(figure)
    figure.text(left / width, 1 - 0.23 / height, text, va="top", fontsize=6, color=colour)


def name_row(axes: Axes, name: str, gap: float = 18) -> None:
    """Name a row of a grid at its left, `gap` points from it."""
    axes.annotate(name, (0, 0.5), (-gap, 0), "axes fraction", "offset points", ha="right", va="center")


def raster(axes: Axes, spikes: np.ndarray, width: float, colour: str = INK) -> None:
    """One tick per spike; spikes [neuron, time]."""
    neuron, time = np.nonzero(spikes)
    axes.vlines(time, neuron + 0.1, neuron + 0.9, color=colour, lw=width)
    axes.set(xlim=(0, spikes.shape[1]), ylim=(0, len(spikes)), yticks=[])


def dots(axes: Axes, values: np.ndarray, row: float, colour: str) -> None:
    """One dot per seed along a horizontal bar; values [seed]."""
    axes.scatter(values, row + jitter(len(values)), s=4.5, color=colour, edgecolor="white", lw=0.25, zorder=3)


def lost(axes: Axes, runs: int, row: float, colour: str) -> None:
    """Lost runs at the right end of a horizontal bar: a cross each, and their number."""
    if runs:
        across = axes.get_yaxis_transform()
        at, height = np.full(runs, 0.985), row + jitter(runs)
        axes.scatter(at, height, s=8, marker="x", lw=0.8, color=colour, transform=across, zorder=5)
        below: dict[str, Any] = {"ha": "right", "va": "center", "style": "italic", "fontsize": 5.5, "zorder": 6}
        axes.text(0.96, row + 0.46, f"{runs} lost", transform=across, **below)


def jitter(seeds: int) -> np.ndarray:
    """Heights [seed] about a bar's middle: even, and the same at each drawing."""
    return np.asarray(0.55 * ((np.arange(seeds) * 0.618 + 0.5) % 1 - 0.5))


def diamond(axes: Axes, value: float, row: float) -> None:
    """The value that the paper prints, across a horizontal bar."""
    axes.plot([value, value], [row - 0.42, row + 0.42], color=INK, lw=0.8, zorder=5)
    axes.plot(value, row - 0.42, marker="D", ms=3.2, color=INK, zorder=5, clip_on=False)


def numbers(gutter: Axes, rows: Sequence[str], columns: Sequence[Column], pale: Sequence[str] = ()) -> None:
    """Columns of numbers at the right of horizontal bars, a line a row; those named `pale` in grey."""
    gutter.set_axis_off()
    gutter.set_xlim(0, sum(width for width, _, _ in columns))
    right = 0.0
    for width, name, texts in columns:
        right += width
        gutter.text(right, -0.85, name, ha="right", va="center_baseline", color=GREY)
        for row, variant in enumerate(rows):
            text = texts.get(variant, "")
            slant = "italic" if text[:1].isalpha() else "normal"  # "failed", "not run"
            ink = GREY if name in pale else INK
            gutter.text(right, row, text, ha="right", va="center_baseline", style=slant, color=ink)


def missing(axes: Axes, text: str) -> None:
    """Draw empty dashed axes with a text in the middle."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=PALE, linestyle=(0, (4, 4)))
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, style="italic", transform=axes.transAxes)


def label_ends(
    axes: Axes, ends: Mapping[str, tuple[float, str]], absent: Mapping[str, Sequence[str]], gap: float = GAP
) -> None:
    """Name curves at their right ends, label -> (last value, colour), at least `gap` from each other; above
    them the labels that are absent, reason -> labels."""
    scale = np.log if axes.get_yscale() == "log" else np.asarray
    bottom, top = scale(axes.get_ylim())
    notes = [line for reason, labels in absent.items() if labels for line in (f"{reason}:", *labels)]
    lines = [((scale(y) - bottom) / (top - bottom), label, ink, "normal") for label, (y, ink) in ends.items()]
    lines.sort()
    lines += [(0.99 - gap * i, note, GREY, "italic") for i, note in reversed(list(enumerate(notes)))]
    for height, (_, text, ink, slant) in zip(spread([line[0] for line in lines], gap), lines, strict=True):
        axes.text(1.04, height, text, color=ink, style=slant, transform=axes.transAxes, va="center")


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved as little as need be until neighbours are `gap` apart."""
    moved = list(heights)
    for _ in range(100):
        for i in range(len(moved) - 1):
            push = (gap - (moved[i + 1] - moved[i])) / 2
            if push > 0:
                moved[i], moved[i + 1] = moved[i] - push, moved[i + 1] + push
    return moved


def stamp(figure: Panel, text: str) -> None:
    """Write `text` across a panel, as large as fits, so that every copy of the panel shows it."""
    look: dict[str, Any] = {"color": WARNING, "alpha": 0.3, "fontweight": "bold", "rotation": 18, "zorder": 100}
    points = 3.4 * size(figure)[0] * min(1, 30 / len(text))
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=points, **look)
