"""One question and its answer."""

import dataclasses
from collections.abc import Sequence

from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Answer:
    """A section of the page. `table` has its head as first row (no table if empty); `runs` names the records and tables
    that were used, `missing` what was not run and what it costs; `commands` make the runs."""

    name: str  # of the figure's file
    question: str
    short: str
    figure: Figure
    caption: str
    measured: str
    runs: Sequence[str]
    commands: Sequence[str]
    table: Sequence[Sequence[str]] = ()
    missing: str = ""
