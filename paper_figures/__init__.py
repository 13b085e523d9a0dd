"""The paper's figures, redrawn from records alone. One line here registers a figure; nothing imports torch."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from repro.errors import UserError

FIGURES = {f"fig{number}": f"paper_figures.fig{number}" for number in (1, 2, 3, 4)}
FIGURES["theory"] = "paper_figures.theory"


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
