"""The paper's figures, redrawn from records alone. One line here registers a figure; nothing imports torch."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from repro.errors import UserError

FIGURES = {"fig1": "paper_figures.fig1", "fig2": "paper_figures.fig2", "fig3": "paper_figures.fig3"}


def draw(
    figure: str, where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None
) -> list[Path]:
    """Draw a figure's panels (all, if None) from the records under `where`; return the files written.

    Raises UserError when the figure, a panel or `where` is unknown, or no record can be drawn.
    """
    if figure not in FIGURES:
        raise UserError(f"unknown figure {figure!r}; known: {', '.join(FIGURES)}")
    module = importlib.import_module(FIGURES[figure])
    files: list[Path] = module.draw(where, module.PANELS if panels is None else panels, out)
    return files
