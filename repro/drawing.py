"""How every figure looks and is saved: fonts, sizes, axes, files whose bytes do not change."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from repro.errors import UserError
from repro.records.files import write_atomically

WIDTH = 180 / 25.4  # inches: two columns of a journal, 180 mm
SMALL = 6.5  # points: the smallest letters, legible in print
INK, GREY, WARNING = "#222222", "#767676", "#c84a00"

Panel = Figure | SubFigure

RC: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # shipped with matplotlib: the same letters on every machine
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.4,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.0,
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
    "pdf.fonttype": 42,  # letters stay letters that can be searched and edited
}


@contextlib.contextmanager
def theme() -> Iterator[None]:
    """Draw inside this: matplotlib's defaults plus ours; the user's matplotlibrc is ignored."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)  # type: ignore[arg-type]
        yield


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


def plain_log(axis: Axis) -> None:
    """Ticks of a log axis as the text prints values, 0.01, 0.1, 1; and 0.2, 0.5 where it spans less than a decade
    and a half. Call it when the limits are set."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def render(
    figure: Figure, stem: str, kinds: Sequence[str] = ("svg", "png"), about: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """The figure as NAME -> bytes, one file a kind ("svg", "png", "pdf"); the same figure gives the same bytes.

    `about` has a "Title" and a "Description", which go into each file's metadata.
    """
    text = dict(about or {})
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None} | text,
        "png": {"Software": None} | text,
        "pdf": dict.fromkeys(("Creator", "Producer", "CreationDate"))
        | {{"Description": "Subject"}.get(name, name): value for name, value in text.items()},
    }
    files = {}
    for kind in kinds:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata[kind])
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
