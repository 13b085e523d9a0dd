"""The W&B dashboard as code: a report with a section a figure. Needs the package wandb-workspaces to be built, and an
account to be saved."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from repro.errors import UserError
from repro.records.wandb_run import ITERATION, SERIES, one_line

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Report

WIDTH, HEIGHT, COLUMNS = 8, 7, 3  # of a panel on a grid of 24 columns
SECONDS = 20  # for the server to answer


class Part(NamedTuple):
    """A task's part of a section: its runs, the series that are drawn against the iteration, and the metric of bars."""

    task: str
    about: str
    curves: Sequence[str]
    headline: str


def build(entity: str, project: str, profile: str, sections: dict[str, Sequence[Part]]) -> "Report":
    """The dashboard of the runs of one profile; `sections` maps a figure to its tasks.

    Curves are means over the seeds of a variant, in a band of the standard error. Raises UserError without
    wandb-workspaces.
    """
    wr = _reports()
    blocks: list[Any] = []
    for figure, parts in sections.items():
        blocks.append(wr.H1(figure))
        for part in parts:
            runs = f"Config('task') = '{part.task}' and Config('profile') = '{profile}'"
            runset = wr.Runset(entity=entity, project=project, name=f"{part.task}, {profile}", filters=runs)
            blocks += [wr.H2(part.task), wr.P(part.about), wr.PanelGrid(runsets=[runset], panels=_panels(wr, part))]
    return wr.Report(
        entity=entity,
        project=project,
        title=f"eprop-repro: {', '.join(sections)}, profile {profile}",
        description="Made by `repro publish --dashboard`. Curves: mean and standard error over seeds.",
        blocks=blocks,
        width="fluid",
    )


def _panels(wr: Any, part: Part) -> list[Any]:
    by_variant = {"groupby": wr.Config("variant"), "groupby_aggfunc": "mean", "groupby_rangefunc": "stderr"}
    panels = [
        wr.LinePlot(title=name, x=ITERATION, y=[SERIES + name], title_x=ITERATION, max_runs_to_show=100, **by_variant)
        for name in part.curves
    ]
    if part.headline:
        panels.append(wr.BarPlot(title=f"{part.headline} (final)", metrics=[part.headline], **by_variant))
    for index, panel in enumerate(panels):
        panel.layout = wr.Layout(x=WIDTH * (index % COLUMNS), y=HEIGHT * (index // COLUMNS), w=WIDTH, h=HEIGHT)
    return panels


def default_entity() -> str:
    """The name of the user's account. Raises UserError where the server cannot be asked for it."""
    import wandb

    try:
        return wandb.Api(timeout=SECONDS).default_entity or ""
    except Exception as error:  # wandb raises many kinds
        raise UserError(f"the dashboard is made on a W&B server, which did not answer: {one_line(error)}") from None


def save(report: "Report") -> str:
    """Create the dashboard on the server and return its address. Raises UserError where that fails."""
    try:
        report.save()
    except Exception as error:  # wandb raises many kinds, plain Exception among them
        raise UserError(f"the dashboard was not created: {one_line(error)}") from None
    return report.url


def _reports() -> Any:
    try:
        import wandb_workspaces.reports.v2 as reports
    except ImportError:
        raise UserError(
            "a dashboard needs wandb-workspaces, which is not installed; `pip install wandb-workspaces` adds it"
        ) from None
    return reports
