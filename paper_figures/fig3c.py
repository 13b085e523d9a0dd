"""Figure 3c: an arm with two joints, and a movement that its tip should make (task 2.1)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.table import Table

EXAMPLE = "e_prop_2_spiking"  # the variant that 3c and 3d show
WIDTH, HEIGHT = 2.5, 5.0  # inches, of 3c; 3d stands beside it
TOP, PLANE, FOOT = 0.52, 1.5, 0.38  # inches above the plane, of the plane, below the rows over time
TARGET: dict[str, Any] = {"color": style.INK, "lw": 0.9, "ls": (0, (2.5, 1.5)), "zorder": 3}
POSTURES = 10  # of the arm, in addition to the one at the start


def panel_c(figure: style.Panel, table: Table) -> None:
    """The arm in the plane with the target path of its tip; below, the path over time, and the clock."""
    margins: dict[str, Any] = {"left": 0.6, "right": 0.12}
    style.head(figure, "c", "Arm and target")
    if table.absence(EXAMPLE):
        axes = style.grid(figure, 1, 1, top=TOP, bottom=FOOT, **margins)[0, 0]
        style.missing(axes, f"{table.task.variants[EXAMPLE].label}:\n{table.absence(EXAMPLE)}")
        return
    names = ("target", "target_elbow", "inputs")
    record, arrays = table.example(EXAMPLE, *(f"example_{name}" for name in names))
    target, elbow, clock = (arrays[f"example_{name}"] for name in names)
    style.note(figure, f"dashed: target, seed {record.seed}; grey: later postures")
    _arm(style.grid(figure, 1, 1, top=TOP, bottom=HEIGHT - TOP - PLANE, **margins)[0, 0], elbow, target)
    rows = over_time(figure, (1, 1, 1), **margins)[:, 0]
    for axes, values, name in zip(rows, target.T, ("x", "y"), strict=False):
        axes.plot(values, **TARGET)
        axes.set_ylabel(f"target {name}\n(arm lengths)", fontsize=style.SMALL)
        axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    style.raster(rows[2], clock, 0.3)
    rows[2].set_ylabel(f"{len(clock)} clock\ninputs")
    rows[2].spines.left.set_visible(False)


def over_time(figure: style.Panel, heights: tuple[float, ...], columns: int = 1, **margins: Any) -> np.ndarray:
    """Axes [row, column] below the plane, all over the time of a trial in ms; rows share a scale, and only the last
    shows the time."""
    top = TOP + PLANE + 0.52
    options: dict[str, Any] = {"sharex": True, "sharey": "row", "height_ratios": heights}
    options = {"between": (0.5, 0.12)} | options | margins
    grid = style.grid(figure, len(heights), columns, top=top, bottom=FOOT, **options)
    for axes in grid[:-1].flat:
        axes.tick_params(bottom=False)
        axes.spines.bottom.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("time (ms)")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    return grid


def plane(axes: Axes, *paths: np.ndarray, pad: float = 0.08) -> None:
    """Limits that hold paths [time, (x, y)] and give both coordinates one scale; lengths are those of a stretched
    arm."""
    points = np.concatenate(paths)
    low, high = points.min(0) - pad, points.max(0) + pad
    box = np.array([axes.bbox.width, axes.bbox.height])
    half = max((high - low) / box) * box / 2
    (left, bottom), (right, top) = (low + high) / 2 - half, (low + high) / 2 + half
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="x (arm lengths)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _arm(axes: Axes, elbow: np.ndarray, tip: np.ndarray) -> None:
    """Two links at the start, and faint at even times later; the path of the tip [time, (x, y)] with a dot at each."""
    shoulder = np.zeros_like(tip)
    arms = np.stack([shoulder, elbow, tip], axis=1)
    times = np.linspace(0, len(tip) - 1, POSTURES + 1).round().astype(int)
    for time in times[1:]:
        axes.plot(*arms[time].T, color=style.PALE, lw=0.8, alpha=0.7, zorder=1)
    axes.plot(*arms[0].T, color=style.GREY, lw=2.6, marker="o", ms=4, mfc="white", mec=style.GREY, mew=0.9, zorder=2)
    axes.plot(*tip.T, **TARGET)
    axes.scatter(tip[times, 0], tip[times, 1], s=5, color=style.INK, lw=0, zorder=4)
    plane(axes, elbow, tip, shoulder[:1], pad=0.2)
    axes.set_ylabel("y (arm lengths)")
    links = np.concatenate([np.linspace(arm[joint], arm[joint + 1], 12) for arm in arms[times] for joint in (0, 1)])
    names = {"shoulder φ₁": shoulder[0], "elbow φ₂": elbow[0], "0 ms": tip[0], f"{len(tip)} ms": tip[-1]}
    name_points(axes, names, np.concatenate([links, tip]))


def name_points(axes: Axes, names: dict[str, np.ndarray], drawn: np.ndarray) -> None:
    """Name points (x, y) of a plane, each joined to its name, where the names are furthest from what is `drawn`
    [point, (x, y)] and from each other."""
    scale = 72 / axes.figure.dpi
    taken = scale * axes.transData.transform(drawn)
    box = scale * np.array([axes.bbox.min, axes.bbox.max])
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rays = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    for text, at in names.items():
        point, half = (
            scale * axes.transData.transform(at),
            np.array([0.29 * style.SMALL * len(text), 0.55 * style.SMALL]),
        )
        places = np.concatenate([rays * (half + away) for away in (5, 10, 16, 22, 30)])
        centres = point + places
        corners = np.linspace(-1, 1, 7)[:, None] * (half * (1, 0))  # of the text: points along its line
        gaps = np.abs((centres[:, None] + corners)[:, :, None] - taken) - (2, half[1])
        room = np.where(gaps.max(3) > 0, np.linalg.norm(np.maximum(gaps, 0), axis=3), 0).min((1, 2))
        inside = ((centres - half > box[0]) & (centres + half < box[1])).all(1)
        best = int((np.minimum(room, 6) * inside - 0.02 * np.linalg.norm(places, axis=1)).argmax())
        look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": style.SMALL}
        line = {"arrowstyle": "-", "lw": 0.4, "color": style.GREY, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(text, tuple(at), tuple(places[best]), arrowprops=line, zorder=5, **look)
        taken = np.concatenate([taken, centres[best] + corners])
