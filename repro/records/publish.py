"""A W&B run that sums up figures and verdicts, online or offline."""

import collections
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from repro.records import wandb_run
from repro.records.wandb_run import PROJECT


class Summary(NamedTuple):
    """What is published of one figure: files of its panels, and a row a claim (column -> text, number or None)."""

    panels: Sequence[Path]
    claims: Sequence[Mapping[str, Any]]


def publish(figures: Mapping[str, Summary], folder: Path) -> str:
    """Publish figures as one run of job type "summary", and return where it is: an address, or a folder if offline.

    PNG files are images of the run; all files of the panels, and the table of claims, are artifacts; how many claims
    have which verdict is in the summary. The run's files lie in `folder`. Empty where the user has disabled W&B.
    Raises what wandb raises for wrong settings.
    """
    before = os.environ.get("WANDB_DATA_DIR")
    # Else artifacts are staged in the home directory; `wandb sync` needs the staged files later.
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb"))
    try:
        return _publish(figures, folder)
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


def _publish(figures: Mapping[str, Summary], folder: Path) -> str:
    run = wandb_run.start(
        folder,
        project=PROJECT,
        job_type="summary",
        name=f"summary of {', '.join(figures)}",
        tags=["summary", *figures],
        config={"figures": list(figures)},
    )
    if run is None:
        return ""
    try:
        for figure, summary in figures.items():
            _add_panels(run, figure, summary.panels)
        _add_claims(run, [{"figure": figure, **row} for figure, s in figures.items() for row in s.claims])
    except BaseException:
        wandb_run.finish(run, 1)
        raise
    where = run.url or str(Path(run.settings.sync_dir))
    wandb_run.finish(run, 0)
    return where


def _add_panels(run: Any, figure: str, files: Sequence[Path]) -> None:
    import wandb

    artifact = wandb.Artifact(f"{figure}-panels", type="figure")
    for path in files:
        artifact.add_file(str(path))
    run.log_artifact(artifact)
    run.log({f"{figure}/{path.stem}": wandb.Image(str(path)) for path in files if path.suffix == ".png"})


def _add_claims(run: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    import wandb

    if not rows:
        return
    columns: list[str | int] = list(rows[0])
    table = wandb.Table(columns=columns, data=[list(row.values()) for row in rows])
    run.log({"claims": table})
    artifact = wandb.Artifact("claims", type="verdicts")
    artifact.add(wandb.Table(columns=columns, data=table.data), "claims")
    run.log_artifact(artifact)
    counts = collections.Counter(row["verdict"] for row in rows)
    run.summary.update({f"verdicts/{verdict}": number for verdict, number in counts.items()})
