"""Draws the panels of a figure and writes the files; every figN.py uses it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.table import Table, gather
from repro.errors import UserError
from repro.records import frames, store
from repro.runs.registry import get_task

Draw = Callable[[style.Panel, Table], None]


@dataclasses.dataclass(frozen=True)
class Part:
    """A panel: the task whose records it shows, its size in inches, and the function that draws it."""

    task: str
    size: tuple[float, float]
    draw: Draw


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A figure: its name, its panels, and the rows in which they stand side by side."""

    name: str
    parts: Mapping[str, Part]
    rows: Sequence[Sequence[str]]

    def draw(self, where: str | Path, panels: Sequence[str] | None, out: Path | None) -> list[Path]:
        """Draw panels (all, if None) from the records under `where` into `out` (results/figures if None).

        Each panel becomes figNX.svg and .png, unless the figure has no other; all together become figN.svg and .png. A
        panel whose runs are not of the paper's size and data is stamped with their size and data, and is not compared
        with the paper's values. Returns the files written. Raises UserError when a panel is unknown, a record cannot be
        read, none of them can be drawn, or `out` cannot be written.
        """
        chosen = tuple(self.parts if panels is None else panels)
        for panel in chosen:
            if panel not in self.parts:
                raise UserError(f"unknown panel {panel!r} of {self.name}; known: {', '.join(self.parts)}")
        tables = self._tables(chosen, where)
        files: dict[str, bytes] = {}
        with style.theme():
            for panel in chosen if len(self.parts) > 1 else ():
                figure = Figure(figsize=self.parts[panel].size)
                self._fill(figure, panel, tables)
                files |= style.render(figure, f"fig{panel}")
            if set(chosen) == set(self.parts):
                files |= style.render(self._together(tables), self.name)
        return style.save(files, store.figures_folder() if out is None else out)

    def _tables(self, panels: Sequence[str], where: str | Path) -> dict[str, Table]:
        """Task -> its runs, for the tasks behind some panels."""
        tasks = dict.fromkeys(self.parts[panel].task for panel in panels)
        tables = {task: gather(get_task(task), where) for task in tasks}
        if all(table.runs.empty for table in tables.values()):
            left_out = sum(len(frames.load(where, task)) for task in tasks)
            others = f" ({left_out} there, with values that no profile has)" if left_out else ""
            names = " or ".join(tasks)
            raise UserError(f"no records of {names} to draw in {store.folder(where)}{others}; run: make {self.name}")
        return tables

    def _together(self, tables: Mapping[str, Table]) -> Figure:
        """Every panel of the size that it has alone."""
        sizes = [[self.parts[panel].size for panel in row] for row in self.rows]
        heights = [max(height for _, height in row) for row in sizes]
        figure = Figure(figsize=(max(sum(width for width, _ in row) for row in sizes), sum(heights)))
        bands = np.atleast_1d(np.asarray(figure.subfigures(len(heights), 1, height_ratios=heights, hspace=0)))
        for band, row, across in zip(bands, self.rows, sizes, strict=True):
            widths = [width for width, _ in across]
            places = band.subfigures(1, len(row), width_ratios=widths, wspace=0) if len(row) > 1 else band
            for place, panel in zip(np.atleast_1d(np.asarray(places)), row, strict=True):
                self._fill(place, panel, tables)
        return figure

    def _fill(self, place: style.Panel, panel: str, tables: Mapping[str, Table]) -> None:
        """Draw one panel, or a note that its task has no runs."""
        part = self.parts[panel]
        table = tables[part.task]
        if table.runs.empty:
            style.head(place, panel[-1], table.task.about)
            axes = style.grid(place, 1, 1, left=0.15, right=0.15, top=0.42, bottom=0.15)[0, 0]
            style.missing(axes, f"not run: make {self.name} PANELS={panel}")
            return
        part.draw(place, table)
        if table.stamp:
            style.stamp(place, table.stamp)
