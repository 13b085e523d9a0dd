"""Figure 4c: input, target and output of a trained network on one sequence (task 3.1)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.table import Table

EXAMPLE = "e_prop_3"  # the variant that is shown if it has a run
UNASKED = "#ececec"  # steps without a target
FAINT = 0.3  # of the output there
LEFT, RIGHT, TOP = 0.6, 0.36, 0.72  # inches


def example_of(table: Table, metric: str, best: str = "max") -> str:
    """The variant that an example is of: `EXAMPLE`, or the one with the best mean of a metric where that has no run;
    empty where none has."""
    there = [variant for variant in table.task.variants if not table.absence(variant)]
    if EXAMPLE in there or not there:
        return EXAMPLE if there else ""
    return {"max": max, "min": min}[best](there, key=lambda variant: float(table.values(variant, metric).mean()))


def panel_c(figure: style.Panel, table: Table) -> None:
    """Input, target and output of one sequence of the hardest level that a run solved, as channels over steps."""
    variant = example_of(table, "length_solved")
    if not variant:
        style.head(figure, "c", "A sequence, read and repeated")
        axes = style.grid(figure, 1, 1, left=LEFT, right=RIGHT, top=TOP, bottom=0.38)[0, 0]
        style.missing(axes, "no run finished")
        return
    record, arrays = table.example(variant, "example_input", "example_target", "example_output")
    given, target, output = (arrays[f"example_{name}"].astype(float) for name in ("input", "target", "output"))
    asked = ~np.isnan(target).any(1)
    pattern = int(asked.argmax()) - 2
    repeats = (int(asked.sum()) - 1) // pattern
    times = f"{pattern} character{'s' * (pattern > 1)} to be copied {repeats} time{'s' * (repeats > 1)}"
    style.head(figure, "c", "A sequence, read and repeated")
    text = f"{table.task.variants[variant].label}, seed {record.seed}: {times}"
    right = 100 * np.mean((output > 0.5)[asked] == (target > 0.5)[asked])
    solved = "the longest that it solved" if record.metrics["length_solved"] else "none solved yet"
    style.note(figure, f"{text}\n{len(target)} steps, {solved}; {right:.3g} % of the bits are right")
    rows = style.grid(figure, 3, 1, left=LEFT, right=RIGHT, top=TOP, bottom=0.38, between=(0, 0.2), sharex=True)[:, 0]
    ink, shade = _shades(style.INK), _shades(style.COLOURS[variant])
    _heat(rows[0], given, ink)
    _heat(rows[1], target, ink)
    _heat(rows[2], output, shade, np.where(asked, 1, FAINT))
    for axes, name in zip(rows, ("input", "target", "output"), strict=True):
        style.name_row(axes, name, gap=6)
        axes.tick_params(bottom=axes is rows[-1])
    _spans(rows, pattern, repeats)
    _key(rows[-1], shade)
    rows[-1].set_xlabel("step")
    rows[-1].xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))


def _shades(colour: str) -> Colormap:
    """From white to a colour; grey for steps without a target."""
    shades = LinearSegmentedColormap.from_list("shades", ["#ffffff", colour])
    return shades.with_extremes(bad=UNASKED)


def _heat(axes: Axes, values: np.ndarray, shades: Colormap, opacity: np.ndarray | None = None) -> None:
    """Values [step, channel] in 0 to 1 as shades, the first channel on top; opacity [step]."""
    alpha = None if opacity is None else np.broadcast_to(opacity, values.T.shape)
    axes.imshow(values.T, aspect="auto", cmap=shades, vmin=0, vmax=1, alpha=alpha, interpolation="nearest")
    axes.set(yticks=[])
    axes.spines[:].set_visible(True)


def _spans(rows: np.ndarray, pattern: int, repeats: int) -> None:
    """Name the steps above the rows: one line per character string, ticks for stop and count."""
    first = pattern + 2
    _span(rows[0], 0, pattern, "pattern", "right")
    _span(rows[0], pattern, first, "stop, count", "left")
    for copy in range(repeats):
        _span(rows[1], first + copy * pattern, first + (copy + 1) * pattern, f"{copy + 1}", "center")
    _span(rows[1], first + repeats * pattern, first + repeats * pattern + 1, "stop", "left")


def _span(axes: Axes, start: int, end: int, text: str, side: str) -> None:
    """A line above the steps from `start` to before `end`, and its name at its right end, its middle or its left."""
    place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    axes.plot([start - 0.35, end - 0.65], [1.07, 1.07], color=style.GREY, lw=0.8, solid_capstyle="butt", **place)
    x = {"right": end - 0.65, "center": (start + end - 1) / 2, "left": start - 0.35}[side]
    axes.text(x, 1.12, text, ha=side, color=style.GREY, fontsize=style.SMALL, **place)


def _key(output: Axes, shades: Colormap) -> None:
    """What the shades of the output mean, at its right."""
    axes = output.inset_axes((1.03, 0, 0.02, 1))
    axes.imshow(np.linspace(1, 0, 64)[:, None], aspect="auto", cmap=shades, extent=(0, 1, 0, 1), vmin=0, vmax=1)
    axes.spines[:].set_visible(True)
    axes.yaxis.tick_right()
    axes.set(xticks=[], yticks=[0, 1])
