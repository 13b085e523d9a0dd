"""The theory: where Eq. 10 holds, measured on small networks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from paper_figures import style
from paper_figures.sheet import Part, Sheet
from paper_figures.table import Table

CELL = "a cell: networks of one coupling and memory; colour: expected squared error of e-prop 3's gradient / BPTT's"
KINDS = {"rate": "rate network", "lstm": "LSTM"}
BLOCK = 2.56  # inches: the maps of one kind of network
LEFT, BETWEEN, TOP, BOTTOM = 0.98, 0.2, 1.02, 0.38
COLOURS = "RdBu_r"  # blue where e-prop 3 is nearer to the gradient
REACH = 2.0  # colours range from a ratio of 2^-REACH to one of 2^REACH


def panel_10(figure: style.Panel, table: Table) -> None:
    """Maps over coupling and memory: one column per window length and kind of network, one row per quality
    of synthetic gradients. Colours are means over seeds of the log of the ratio."""
    style.head(
        figure, "", "Where Eq. 10 holds: the error of e-prop 3's gradient against that of truncated BPTT", left=-0.1
    )
    style.note(
        figure,
        f"{CELL}{_seeds(table)};\nwhere it is below 1, e-prop 3 is nearer; at the top right of each map: "
        "the share of cells and seeds where it is 1 or less",
        left=0.08,
    )
    if reason := table.absence("measured"):
        axes = style.grid(figure, 1, 1, left=LEFT, right=LEFT, top=TOP, bottom=BOTTOM)[0, 0]
        style.missing(axes, reason)
        return
    names = ("window", "memory", "coupling", "explained")
    _, along = table.example("measured", *names)
    ratios = table.arrays("measured", *(f"{kind}_ratio" for kind in KINDS))
    levels = sorted({0, len(along["explained"]) // 2, len(along["explained"]) - 1})
    width, height = style.size(figure)
    for block, (kind, name) in enumerate(KINDS.items()):
        left = LEFT + block * (BLOCK + BETWEEN)
        margins = {"left": left, "right": width - left - BLOCK, "top": TOP, "bottom": BOTTOM}
        grid = style.grid(figure, len(levels), len(along["window"]), **margins, between=(0.07, 0.2))
        _name(grid, along, kind == "rate")
        middle = (left + BLOCK / 2) / width
        figure.text(middle, 1 - 0.66 / height, f"{name}, windows of", ha="center", fontweight="bold")
        figure.text(middle, 0.08 / height, "coupling (gain of the recurrent weights, no unit)", ha="center")
        for row, level in zip(grid, levels, strict=True):
            if kind == "rate":
                style.name_row(row[0], quality(float(along["explained"][level])), gap=28)
            for axes, ratio in zip(row, np.moveaxis(ratios[f"{kind}_ratio"][:, level], 1, 0), strict=True):
                image = draw_map(axes, ratio)
    _legend(figure, image)


def _seeds(table: Table) -> str:
    seeds = len(table.values("measured", "seed"))
    return " of one seed" if seeds == 1 else f", geometric mean of {seeds} seeds"


def quality(explained: float) -> str:
    """Describes synthetic gradients that explain this share of the ideal ones' variance."""
    if explained == 0:
        return "synthetic\ngradients:\nzero"
    return "unbiased,\nnoisy" if explained == 1 else f"explain\n{100 * explained:.0f} % of the\nvariance"


def draw_map(axes: Axes, ratio: np.ndarray) -> AxesImage:
    """One map of ratios [seed, memory, coupling], a colour a cell, and the share of seeds and cells that are not above
    1."""
    mean = np.log2(ratio).mean(axis=0)
    image = axes.imshow(mean, origin="lower", aspect="auto", cmap=COLOURS, vmin=-REACH, vmax=REACH)
    share = f"≤ 1 in {100 * np.mean(ratio <= 1):.0f} %"
    axes.text(1, 1.02, share, color=style.GREY, fontsize=style.SMALL, ha="right", va="bottom", transform=axes.transAxes)
    return image


def _name(grid: np.ndarray, along: dict[str, np.ndarray], first: bool) -> None:
    """The names of a block's columns; ticks at every other value, named at the margins."""
    for axes, window in zip(grid[0], along["window"], strict=True):
        axes.set_title(f"{window:g} step{'s' * int(window > 1)}", pad=11)
    for axes in grid.flat:
        axes.spines[:].set_visible(False)
        axes.tick_params(length=1.5)
        for axis, values in ((axes.xaxis, along["coupling"]), (axes.yaxis, along["memory"])):
            axis.set_ticks(range(0, len(values), 2), [])
    for axes in grid[-1]:
        axes.set_xticklabels(
            [f"{x:.1g}" if x < 0.1 else f"{x:.2g}" for x in along["coupling"][::2]], fontsize=style.SMALL
        )
    for axes in grid[:, 0] if first else ():
        axes.set_yticklabels([f"{y:.2g}" for y in along["memory"][::2]], fontsize=style.SMALL)
    if first:
        grid[len(grid) // 2, 0].set_ylabel("memory (steps)")


def _legend(figure: style.Panel, image: AxesImage) -> None:
    """The colours, by ratios."""
    width, height = style.size(figure)
    place = figure.add_axes(
        ((LEFT + 2 * BLOCK + BETWEEN + 0.2) / width, BOTTOM / height, 0.09 / width, 1 - (TOP + BOTTOM) / height)
    )
    bar = figure.colorbar(image, cax=place, extend="both")
    bar.outline.set_visible(False)
    exponents = np.arange(-REACH, REACH + 1)
    bar.set_ticks(list(exponents), labels=[f"{2**x:g}" for x in exponents])
    bar.ax.text(0.5, 1.05, "e-prop 3\nworse", color="#b2182b", ha="center", va="bottom", transform=bar.ax.transAxes)
    bar.ax.text(0.5, -0.05, "better", color="#2166ac", ha="center", va="top", transform=bar.ax.transAxes)


_PARTS = {"10": Part("theory", (style.WIDTH, 3.8), panel_10)}
PANELS = tuple(_PARTS)


def draw(where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None) -> list[Path]:
    """Draw panels (all, if None) from the records under `where`; see `Sheet.draw`."""
    return Sheet("theory", _PARTS, (("10",),)).draw(where, panels, out)
