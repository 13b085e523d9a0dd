"""`repro publish`: a W&B run with the panels of figures and the verdicts on their claims; the dashboard."""

import argparse
import dataclasses
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.cli.arguments import add_records
from repro.errors import UserError, unknown
from repro.records import store
from repro.records.loggers import WANDB, is_installed
from repro.runs.registry import FIGURES, all_tasks, draw, entries
from repro.text import shown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "figures", metavar="FIG", nargs="*", help="such as fig1; all that have records if none is given"
    )
    add_records(parser, "runs")
    parser.add_argument(
        "--dashboard",
        action="store_true",
        help="create a W&B report in place of a run: learning curves of each variant, mean and standard error over "
        "seeds (online; needs wandb-workspaces)",
    )
    parser.add_argument("--profile", metavar="P", help="whose runs the dashboard shows (default quick)")
    parser.add_argument("--project", metavar="NAME", help="of the dashboard; WANDB_PROJECT or eprop-repro by default")
    parser.add_argument("--entity", metavar="NAME", help="of the dashboard; WANDB_ENTITY or your account by default")


def execute(args: argparse.Namespace) -> int:
    """Publish. Raises UserError when there is nothing to publish, or W&B refuses."""
    for figure in args.figures:
        if figure not in entries(FIGURES):
            raise unknown("figure", figure, entries(FIGURES))
    if not is_installed(WANDB):
        raise UserError("repro publish needs wandb, which is not installed; `pip install wandb` adds it")
    _refuse_options(args)
    return _dashboard(args) if args.dashboard else _summary(args)


def _refuse_options(args: argparse.Namespace) -> None:
    """Raises UserError for options of the dashboard without it, and for records with it: it shows what W&B has."""
    given = [name for name in ("profile", "project", "entity") if getattr(args, name) is not None]
    if given and not args.dashboard:
        other = "" if given[0] == "profile" else f"; WANDB_{given[0].upper()} is for the run"
        raise UserError(f"--{given[0]} is for --dashboard{other}")
    if args.dashboard and args.records != args.parser.get_default("records"):
        raise UserError("--records is not for --dashboard, which shows the runs that W&B has")


def _summary(args: argparse.Namespace) -> int:
    from repro.records import publish
    from repro.records.wandb_run import one_line

    folder = store.require_writable(store.figures_folder())
    with tempfile.TemporaryDirectory() as drawn:
        figures = _collect(args.figures, store.folder(args.records), Path(drawn))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            where = publish.publish(figures, folder)
        except Exception as error:  # wandb raises many kinds
            raise UserError(f"W&B took nothing: {one_line(error)}") from None
    if not where:
        raise UserError("nothing was published: W&B is disabled; unset WANDB_MODE, or set it to offline")
    names = ", ".join(figures)
    if where.startswith("http"):
        print(f"published: {names} ({where})")
    else:
        print(f"kept on disk: {names}; send it with `wandb sync {shown(Path(where))}`")
    return 0


def _collect(names: Sequence[str], records: Path, out: Path) -> dict[str, Any]:
    """Figure -> its panels, drawn anew, and the verdicts on its claims. Raises UserError when no figure has records."""
    from repro.claims.claim import load_claims
    from repro.cli.check import judge
    from repro.records.publish import Summary

    with_claims, figures = {claim.figure for claim in load_claims()}, {}
    for name in names or entries(FIGURES):
        try:
            panels = draw(name, records, None, out / name)
        except UserError:
            if names:
                raise
            continue
        results = judge(records, name) if name in with_claims else []
        figures[name] = Summary(panels, [row(result) for result in results])
    if not figures:
        raise UserError(f"nothing to publish: no figure can be drawn from {shown(records)}; `repro reproduce` trains")
    return figures


def row(result: Any) -> dict[str, Any]:
    """Column -> text or number; None where a number is not finite, and text for a column of either."""
    cells = dataclasses.asdict(result)
    for name, value in cells.items():
        value = value.item() if hasattr(value, "item") else value
        cells[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    cells["claimed"] = "" if cells["claimed"] is None else str(cells["claimed"])
    return cells


def _dashboard(args: argparse.Namespace) -> int:
    from repro.records import dashboard
    from repro.records.wandb_run import PROJECT

    project = args.project or os.environ.get("WANDB_PROJECT") or PROJECT
    entity = args.entity or os.environ.get("WANDB_ENTITY") or dashboard.default_entity()
    report = dashboard.build(entity, project, args.profile or "quick", sections(args.figures))
    print(f"dashboard: {dashboard.save(report)}")
    return 0


def sections(figures: Sequence[str]) -> dict[str, Any]:
    """What the dashboard shows of figures (all, if none is given): their tasks."""
    from repro.records.dashboard import Part

    shown_figures: dict[str, list[Part]] = {}
    for task in all_tasks():
        if not figures or task.figure in figures:
            part = Part(task.name, task.about, task.curves, task.headline)
            shown_figures.setdefault(task.figure, []).append(part)
    return dict(sorted(shown_figures.items()))
