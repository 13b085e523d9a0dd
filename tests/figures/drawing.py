"""What tests of figures share: points and diamonds of rows; tables and words of panels of figure 4."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import paper_figures
from paper_figures import rows, style
from paper_figures.table import Table, gather
from tasks.copy_repeat.config import TASK as COPY
from tasks.word_prediction.config import TASK as WORDS
from tests.figures import synthetic_copy, synthetic_words
from tests.figures.test_fig1 import texts

Draw = Callable[..., list[str]]


def words_in(root: Path) -> Draw:
    """The words of a panel, drawn from records with these settings, in a folder of their own."""

    def draw(panel: str, *made: dict[str, Any]) -> list[str]:
        where = root / f"records{len(list(root.iterdir()))}"
        write = synthetic_copy.write_runs if panel in COPY.panels else synthetic_words.write_runs
        for settings in made:
            write(where, **settings)
        return texts(paper_figures.draw("fig4", where, [panel], root / "out")[0].read_bytes())

    return draw


def axes_of(draw: Callable[[style.Panel, Table], None], table: Table) -> list[Axes]:
    figure = Figure(figsize=(style.WIDTH / 2, 2.6))
    draw(figure, table)
    return figure.axes


def points(axes: Axes) -> list[tuple[float, float, bool]]:
    """The points of rows, from the top: value, row, and whether the point is hollow."""
    drawn = [line for line in axes.lines if line.get_marker() == "o" and line.get_markersize() == rows.POINT["ms"]]
    found = [(*np.asarray(line.get_xydata())[0].tolist(), line.get_markerfacecolor() == "white") for line in drawn]
    return sorted(found, key=lambda point: point[1])


def diamonds(axes: Axes) -> list[float]:
    """The values of the paper that are drawn: full diamonds."""
    found = [line for line in axes.lines if line.get_marker() == "D" and line.get_markerfacecolor() != "white"]
    return [float(np.asarray(line.get_xdata())[0]) for line in found]


def copies(where: Path, **settings: Any) -> Table:
    synthetic_copy.write_runs(where, **settings)
    return gather(COPY, where)


def texts_of(where: Path, **settings: Any) -> Table:
    synthetic_words.write_runs(where, **settings)
    return gather(WORDS, where)
