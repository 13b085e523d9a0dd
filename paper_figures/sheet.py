"""Draws the panels of a figure and writes the files; every figN.py uses it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from paper_figures import origin, style
from paper_figures.table import Table, gather
from repro.errors import UserError
from repro.records import frames, store
from repro.runs.registry import get_task

Draw = Callable[[style.Panel, Table], None]
KINDS = ("svg", "png", "pdf")
FOOT = 0.18  # inches, for the line that names the records


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
        """Draw panels (all, if None) from the records under `where` into `out` (if None, see `store.figures_folder`).

        Each panel becomes figNX.svg, .png and .pdf, unless the figure has no other; all together become figN. A line at
        the foot and the files' metadata name the records. A panel whose runs are not of the paper's size and data has
        their size and data in a tag, and is not compared with the paper's values. Returns the files written. Raises
        UserError when a panel is unknown, a record cannot be read, none of them can be drawn, or `out` cannot be
        written.
        """
        chosen = tuple(self.parts if panels is None else panels)
        for panel in chosen:
            if panel not in self.parts:
                raise UserError(f"unknown panel {panel!r} of {self.name}; known: {', '.join(self.parts)}")
        tables = self._tables(chosen, where)
        files: dict[str, bytes] = {}
        with style.theme():
            for panel in chosen if len(self.parts) > 1 else ():
                files |= self._page(f"fig{panel}", [[panel]], tables)
            if set(chosen) == set(self.parts):
                files |= self._page(self.name, self.rows, tables)
        return style.save(files, store.figures_folder(where) if out is None else out)

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

    def _page(self, name: str, rows: Sequence[Sequence[str]], tables: Mapping[str, Table]) -> dict[str, bytes]:
        """Rows of panels, each of its size, and the line at the foot, as files."""
        drawn = {task: tables[task] for row in rows for task in (self.parts[panel].task for panel in row)}
        sizes = [[self.parts[panel].size for panel in row] for row in rows]
        heights = [*(max(height for _, height in row) for row in sizes), FOOT]
        figure = Figure(figsize=(max(sum(width for width, _ in row) for row in sizes), sum(heights)))
        *bands, foot = np.asarray(figure.subfigures(len(heights), 1, height_ratios=heights, hspace=0))
        for band, row, across in zip(bands, rows, sizes, strict=True):
            widths = [width for width, _ in across]
            places = band.subfigures(1, len(row), width_ratios=widths, wspace=0) if len(row) > 1 else band
            for place, panel in zip(np.atleast_1d(np.asarray(places)), row, strict=True):
                self._fill(place, panel, tables)
        there = [table for table in drawn.values() if not table.runs.empty]
        if there:
            foot.text(0.06 / style.size(foot)[0], 0.35, origin.line(there), fontsize=style.SMALL, color=style.GREY)
        return style.render(figure, name, KINDS, origin.about(name, there) if there else {"Title": name})

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
            style.tag(place, table.stamp)
