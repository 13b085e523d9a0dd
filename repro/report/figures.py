"""The figures of the report: each drawn from the records, with its panels, claims and tasks."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import UserError
from repro.report.panels import Judgement, PanelPart, parts
from repro.runs import registry
from repro.runs.sizes import choose
from repro.runs.task import Task

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class FigurePart:
    """A figure of the report: its panels, the judgements that belong to none of them, and its tasks, each with how the
    runs that are drawn differ from the paper's ("" if they do not). `absence` is why nothing is drawn."""

    name: str
    panels: Sequence[PanelPart]
    in_the_text: Sequence[Judgement]
    tasks: Sequence[tuple[Task, str]]
    absence: str = ""

    @property
    def title(self) -> str:
        """ "Figure 1"; "Theory"."""
        return self.name.replace("fig", "Figure ").capitalize()

    @property
    def judgements(self) -> list[Judgement]:
        """All of them, in the order of the page."""
        return [*(each for panel in self.panels for each in panel.judgements), *self.in_the_text]


def gather(where: str | Path, runs: "pd.DataFrame", judgements: Sequence[Judgement], folder: Path) -> list[FigurePart]:
    """Draw every figure that has claims, into `folder`, from the records under `where`; `runs` are these with config
    columns. Raises UserError when a panel has no text."""
    names = dict.fromkeys(judgement.claim.figure for judgement in judgements)
    return [_part(name, where, runs, judgements, folder / name) for name in names]


def _part(
    name: str, where: str | Path, runs: "pd.DataFrame", judgements: Sequence[Judgement], folder: Path
) -> FigurePart:
    files: list[Path] = []
    absence = ""
    try:
        files = registry.draw(name, where, out=folder)
    except UserError as error:  # there are no records of this figure
        absence = str(error)
    ours = [judgement for judgement in judgements if judgement.claim.figure == name]
    panels, in_the_text = parts(name, registry.get_figure(name).PANELS, files, ours)
    tasks = [(task, choose(task, runs[runs["task"] == task.name])[0].stamp) for task in registry.tasks_of(name)]
    return FigurePart(name, panels, in_the_text, tasks, absence)
