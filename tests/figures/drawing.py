"""What the tests of figure 4 share: tables and words of panels drawn from made-up records of either task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import paper_figures
from paper_figures import style
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


def copies(where: Path, **settings: Any) -> Table:
    synthetic_copy.write_runs(where, **settings)
    return gather(COPY, where)


def texts_of(where: Path, **settings: Any) -> Table:
    synthetic_words.write_runs(where, **settings)
    return gather(WORDS, where)
