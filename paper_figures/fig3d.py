"""Figure 3d: a movement before and after one update of the weights (task 2.1)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.fig3c import EXAMPLE, FOOT, HEIGHT, PLANE, TARGET, TOP, over_time, plane
from paper_figures.table import Table

TRIALS = ("training trial", "test trial")
NAMES = ("target", "target_velocities", "tip", "velocities", "spikes", "module_spikes", "signals")
COLOUR = style.COLOURS[EXAMPLE]


def panel_d(figure: style.Panel, table: Table) -> None:
    """Training trial at the left, test trial at the right: path of the tip, velocities of the joints, spikes of the
    network and of the error module, learning signals; one movement, one seed."""
    label = table.task.variants[EXAMPLE].label
    margins: dict[str, Any] = {"left": 1.12, "right": 0.42}
    if table.absence(EXAMPLE):
        style.head(figure, "d", "A movement learned in one trial")
        axes = style.grid(figure, 1, 1, top=TOP, bottom=FOOT, **margins)[0, 0]
        style.missing(axes, f"{label}: {table.absence(EXAMPLE)}")
        return
    record, arrays = table.example(EXAMPLE, *(f"example_{name}" for name in NAMES))
    shown = {name: arrays[f"example_{name}"] for name in NAMES}
    style.head(figure, "d", f"A new movement, {label}, seed {record.seed}")
    style.note(figure, "target dashed; mse in squared arm lengths; Hz: mean rate of the neurons shown")
    bottom = HEIGHT - TOP - PLANE
    planes = style.grid(figure, 1, 2, top=TOP, bottom=bottom, between=(0.5, 0), sharey=True, **margins)[0]
    rows = over_time(figure, (0.9, 0.9, 1.0, 1.0, 0.9), columns=2, **margins)
    for trial, name in enumerate(TRIALS):
        mse = np.square(shown["tip"][trial].astype(float) - shown["target"]).mean()
        planes[trial].set_title(f"{name}: mse {mse:.2g}", pad=4)
        _path(planes[trial], shown["tip"][trial], shown["target"])
        plane(planes[trial], shown["target"], *shown["tip"])
        _trial(rows[:, trial], shown, trial)
    _update(planes[1])
    planes[0].set_ylabel("y (arm lengths)")
    cells = record.config["n_rec"], record.config["n_module"]
    counts = [f"{len(shown[key][0])} of {n}" for key, n in zip(("spikes", "module_spikes"), cells, strict=True)]
    texts = (
        f"network:\n{counts[0]}\nneurons",
        f"error module:\n{counts[1]}\nneurons",
        "learning\nsignals\n(arb. unit)",
    )
    for axes, text in zip(
        rows[:, 0], ("velocity of\njoint 1\n(rad/s)", "velocity of\njoint 2\n(rad/s)", *texts), strict=True
    ):
        style.name_row(axes, text, gap=24)
    for axes in (planes[1], *rows[:, 1]):
        axes.tick_params(left=False)
        axes.spines.left.set_visible(False)


def _path(axes: Axes, tip: np.ndarray, target: np.ndarray) -> None:
    """Where the tip went and where it should have gone [time, (x, y)]; an open dot at the start, a full one at the
    end."""
    axes.plot(*tip.T, color=COLOUR, lw=1.1, zorder=2)
    axes.plot(*target.T, **TARGET)
    for path, colour in ((tip, COLOUR), (target, style.INK)):
        axes.scatter(path[-1, 0], path[-1, 1], s=9, color=colour, lw=0, zorder=4)
    axes.scatter(target[0, 0], target[0, 1], s=11, color="white", edgecolor=style.INK, lw=0.7, zorder=4)


def _trial(rows: np.ndarray, shown: dict[str, np.ndarray], trial: int) -> None:
    """Draw velocities, spikes and learning signals of one trial against time; `rows` are axes."""
    for joint in range(2):
        rows[joint].plot(shown["velocities"][trial, :, joint], color=COLOUR, lw=0.9)
        rows[joint].plot(shown["target_velocities"][:, joint], **TARGET)
        rows[joint].yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    for axes, spikes, colour in ((rows[2], shown["spikes"], style.INK), (rows[3], shown["module_spikes"], COLOUR)):
        style.raster(axes, spikes[trial], 0.5, colour)
        axes.spines.left.set_visible(False)
        at = 1.02, 0.5
        rate = f"{1000 * spikes[trial].mean():.0f} Hz"
        axes.text(*at, rate, va="center", color=style.GREY, fontsize=style.SMALL, transform=axes.transAxes)
    rows[4].plot(shown["signals"][trial], color=COLOUR, lw=0.5, alpha=0.6)
    rows[4].yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


def _update(axes: Axes) -> None:
    """Between the columns: an arrow for the update of the weights."""
    at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center"}
    axes.annotate("one\nupdate", (0, 0.5), (-17, 5), va="bottom", fontsize=style.SMALL, linespacing=1.1, **at)
    arrow = {"arrowstyle": "-|>", "lw": 0.8, "color": style.INK, "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (-0.05, 0.5), (-0.26, 0.5), "axes fraction", "axes fraction", arrowprops=arrow)
