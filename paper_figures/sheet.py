"""From a figure's panels to its files: what each figN.py hands its panels to."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.table import Table, gather
from repro.errors import UserError
from repro.records import store
from tasks import get_task

Draw = Callable[[style.Panel, Table], None]


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A figure: its name, the task whose records it shows, its panels (name -> size in inches, function that draws
    one), and how all are drawn `together`."""

    name: str
    task: str
    panels: Mapping[str, tuple[tuple[float, float], Draw]]
    together: Callable[[Table], Figure]

    def draw(self, where: str | Path, panels: Sequence[str] | None, out: Path | None) -> list[Path]:
        """Draw panels (all, if None) from the records under `where` into `out` (results/figures if None).

        Each panel becomes figNX.svg and .png; all together also become figN.svg and .png. Below the paper's size every
        file is stamped with the profile, and the paper's values are left out. Returns the files written. Raises
        UserError when a panel is unknown, a record cannot be read, none can be drawn, or `out` cannot be written.
        """
        chosen = tuple(self.panels if panels is None else panels)
        for panel in chosen:
            if panel not in self.panels:
                raise UserError(f"unknown panel {panel!r} of {self.name}; known: {', '.join(self.panels)}")
        table = gather(get_task(self.task), where)
        files: dict[str, bytes] = {}
        with style.theme():
            for panel in chosen:
                size, draw_panel = self.panels[panel]
                figure = Figure(figsize=size)
                draw_panel(figure, table)
                files |= _finish(figure, table, f"fig{panel}")
            if set(chosen) == set(self.panels):
                files |= _finish(self.together(table), table, self.name)
        return style.save(files, store.ROOT / "figures" if out is None else out)


def _finish(figure: Figure, table: Table, stem: str) -> dict[str, bytes]:
    if table.stamp:
        style.stamp(figure, table.stamp)
    return style.render(figure, stem)
