"""How every figure looks and is saved: fonts, colours of the variants, the stamp, files whose bytes do not change."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from paper_figures.colours import COLOURS as COLOURS
from repro.errors import UserError
from repro.records.record import write_atomically

WIDTH = 7.1  # inches: two columns of a journal
GAP = 0.057  # least distance of two lines of text beside an axis, as a share of its height
INK, GREY, PALE, WARNING = "#222222", "#767676", "#c8c8c8", "#c84a00"

Panel = Figure | SubFigure
Column = tuple[float, str, Mapping[str, str]]  # width in inches, name, row -> text

RC: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # shipped with matplotlib: the same letters on every machine
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.0,
    "lines.solid_capstyle": "round",
    "axes.labelpad": 2.5,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 300,
    "svg.fonttype": "none",
    "svg.hashsalt": "eprop-repro",
}


@contextlib.contextmanager
def theme() -> Iterator[None]:
    """Draw inside this: matplotlib's own defaults plus ours, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)  # type: ignore[arg-type]
        yield


def head(figure: Panel, letter: str, caption: str, left: float = 0.06, top: float = 0.15) -> None:
    """A panel's letter, `left` and `top` inches from its edges, and beside it one line that says what is drawn."""
    width, height = size(figure)
    y = 1 - top / height
    figure.text(left / width, y, letter, fontsize=9, fontweight="bold")
    figure.text((left + 0.18) / width, y, caption)


def note(figure: Panel, text: str, colour: str = GREY, left: float = 0.24) -> None:
    """A small line below the head of a panel, or several."""
    width, height = size(figure)
    figure.text(left / width, 1 - 0.23 / height, text, va="top", fontsize=6, color=colour)


def size(figure: Panel) -> tuple[float, float]:
    """Width and height in inches."""
    return figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi


def grid(
    figure: Panel,
    rows: int,
    columns: int,
    *,
    left: float,
    right: float,
    top: float,
    bottom: float,
    between: tuple[float, float] = (0.0, 0.0),
    **options: Any,
) -> np.ndarray:
    """Axes [row, column] with margins, and gaps `between` columns and rows, in inches.

    Plain arithmetic, because matplotlib's layout engines solve for margins, and their last digits (and so the bytes
    of a figure) differ from one process to the next.
    """
    width, height = size(figure)
    across, down = width - left - right, height - top - bottom
    spaces = {
        "left": left / width,
        "right": 1 - right / width,
        "bottom": bottom / height,
        "top": 1 - top / height,
        "wspace": between[0] * columns / (across - between[0] * (columns - 1)),
        "hspace": between[1] * rows / (down - between[1] * (rows - 1)),
    }
    return np.asarray(figure.subplots(rows, columns, squeeze=False, gridspec_kw=spaces, **options))


def name_row(axes: Axes, name: str, gap: float = 18) -> None:
    """Name a row of a grid at its left, `gap` points from it."""
    axes.annotate(name, (0, 0.5), (-gap, 0), "axes fraction", "offset points", ha="right", va="center")


def raster(axes: Axes, spikes: np.ndarray, width: float, colour: str = INK) -> None:
    """A tick a spike; spikes [neuron, time]."""
    neuron, time = np.nonzero(spikes)
    axes.vlines(time, neuron + 0.1, neuron + 0.9, color=colour, lw=width)
    axes.set(xlim=(0, spikes.shape[1]), ylim=(0, len(spikes)), yticks=[])


def dots(axes: Axes, values: np.ndarray, row: float, colour: str) -> None:
    """One dot a seed along a horizontal bar; values [seed]."""
    axes.scatter(values, row + jitter(len(values)), s=4.5, color=colour, edgecolor="white", lw=0.25, zorder=3)


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
    """Draw what is not there as not there."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=PALE, linestyle=(0, (4, 4)))
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, style="italic", transform=axes.transAxes)


def plain_log(axis: Axis) -> None:
    """Ticks of a log axis as the text prints values, 0.01, 0.1, 1; and 0.2, 0.5 where it spans less than a decade
    and a half. Call it when the limits are set."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def label_ends(
    axes: Axes, ends: Mapping[str, tuple[float, str]], absent: Mapping[str, Sequence[str]], gap: float = GAP
) -> None:
    """Name curves at their right ends, label -> (last value, colour), moved `gap` apart where they would overlap; above
    them the labels that are absent, reason -> labels."""
    scale = np.log if axes.get_yscale() == "log" else np.asarray
    bottom, top = scale(axes.get_ylim())
    notes = [line for reason, labels in absent.items() if labels for line in (f"{reason}:", *labels)]
    lines = [((scale(y) - bottom) / (top - bottom), label, ink, "normal") for label, (y, ink) in ends.items()]
    lines.sort()
    lines += [(0.99 - gap * i, note, GREY, "italic") for i, note in reversed(list(enumerate(notes)))]
    for height, (_, text, ink, slant) in zip(apart([line[0] for line in lines], gap), lines, strict=True):
        axes.text(1.04, height, text, color=ink, style=slant, transform=axes.transAxes, va="center")


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved as little as need be until neighbours are `gap` apart."""
    moved = list(heights)
    for _ in range(100):
        for i in range(len(moved) - 1):
            push = (gap - (moved[i + 1] - moved[i])) / 2
            if push > 0:
                moved[i], moved[i + 1] = moved[i] - push, moved[i + 1] + push
    return moved


def stamp(figure: Panel, text: str) -> None:
    """Write `text` across a panel, as large as fits, so that it travels with every copy."""
    look: dict[str, Any] = {"color": WARNING, "alpha": 0.3, "fontweight": "bold", "rotation": 18, "zorder": 100}
    points = 3.4 * size(figure)[0] * min(1, 30 / len(text))
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=points, **look)


def render(figure: Figure, stem: str) -> dict[str, bytes]:
    """The figure as NAME -> bytes, SVG and PNG; the same figure gives the same bytes."""
    files = {}
    for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        files[f"{stem}.{kind}"] = buffer.getvalue()
    return files


def save(files: dict[str, bytes], out: Path) -> list[Path]:
    """Write rendered files into a folder, made if need be. Raises UserError when that cannot be done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_atomically(out / name, data)
    except OSError as error:
        raise UserError(f"cannot write figures to {out}: {error.strerror}; --out names another folder") from None
    return [out / name for name in files]
