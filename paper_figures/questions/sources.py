"""What the answers are made of: records, tables of studies, and numbers of networks before any training."""

import collections
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro.claims.claim import plan_of
from repro.records import frames
from repro.records.record import read_arrays, read_record
from repro.runs.config import from_mapping
from repro.runs.registry import get_task
from repro.runs.sizes import choose
from repro.studies import studyfile, table
from repro.studies.study import Study
from repro.text import count, seeds_text

ENDED = ("finished", "failed")
SAME_RUN = ["variant", "config_hash", "seed"]


@dataclasses.dataclass(frozen=True)
class Sources:
    """The folders of records, in the order in which their runs count; those that ended before unfinished ones."""

    where: tuple[str | Path, ...]

    def runs(self, task: str) -> pd.DataFrame:
        """The task's runs that ended, at the paper's size if there are any, one row a run; see `frames.load`."""
        loaded = [frames.load(where, task, "all") for where in self.where]
        known = pd.concat([frame for frame in loaded if len(frame)] or loaded[:1], ignore_index=True)
        _, rows = choose(get_task(task), frames.one_of_each(known, SAME_RUN))
        return rows[rows.status.isin(ENDED)].sort_values(["variant", "seed"], ignore_index=True)

    def study(self, name: str) -> tuple[Study, pd.DataFrame]:
        """A study, and the runs on the paper's data in its table that ended, one row a run, with numbers as numbers."""
        study = studyfile.load(studyfile.find(name))
        rows = table.read_paper(study)
        texts = {"task", "variant", *table.STATE, *table.LAST, table.DATA, table.CONFIG}
        texts |= {key for key, values in study.grid.items() if isinstance(values[0], str)}
        frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["variant", "seed", "status", *study.grid])
        for column in set(frame.columns) - texts - {key for key, v in study.grid.items() if isinstance(v[0], bool)}:
            frame[column] = pd.to_numeric(frame[column])
        return study, frame[frame.status.isin(ENDED)].reset_index(drop=True)

    def arrays(self, task: str, name: str) -> list[np.ndarray]:
        """An array of each finished run of a task."""
        runs = self.runs(task)
        folders = [Path(folder) for folder in runs.folder[runs.status == "finished"]]
        return [read_arrays(folder, read_record(folder))[name] for folder in folders]

    def as_built(self, task: str, settings: dict[str, Any], seed: int) -> dict[str, float]:
        """Numbers of a network before any training."""
        described = get_task(task)
        numbers: dict[str, float] = described.load("as_built")(from_mapping(described.config, settings), seed)
        return numbers


def times(runs: pd.DataFrame, most: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Iterations until a run solved its task [run], and whether they are censored [run], with none seen after `most`. A
    lost run never solves it."""
    if runs.empty:
        return np.empty(0), np.empty(0, bool)
    lost = (runs.status == "failed").to_numpy()
    values = np.where(lost, np.inf, np.asarray(runs.iterations, dtype=float))
    censored = lost | (np.asarray(runs.iterations_at_least, dtype=float) == 1) | (values > most)
    return np.minimum(values, most), censored


def trained_beyond(horizon: int, values: np.ndarray, censored: np.ndarray) -> tuple[int, int]:
    """How many runs were trained on beyond iteration `horizon`, and how many of these solved their task; for values and
    censored, each [run], see `times`."""
    beyond = (values > horizon) & np.isfinite(values)
    return int(beyond.sum()), int((beyond & ~censored).sum())


def described(task: str, runs: pd.DataFrame) -> str:
    """ "20 records of store_recall: bptt 10 (seeds 0-9), ...; commit abc (20); cuda (20)"."""
    if runs.empty:
        return f"no record of {task}"
    bars = [f"{name} {len(rows)} ({seeds_text(list(rows.seed))})" for name, rows in runs.groupby("variant")]
    made = [runs.git_commit.str[: table.COMMIT_DIGITS], runs.device]
    return f"{count(len(runs), 'record')} of {task}: {', '.join(bars)} [{'; '.join(map(_counted, made))}]"


def of_study(study: Study, rows: pd.DataFrame) -> str:
    """ "27 of 81 runs of pattern_generation_rates [commit abc (27); 2 lost]"."""
    lost = int((rows.status == "failed").sum()) if len(rows) else 0
    made = f" [{_counted(rows.commit)}{f'; {lost} lost' * (lost > 0)}]" if len(rows) else ""
    return f"{len(rows)} of {count(study.size, 'run')} of {study.name}{made}"


def planned(task: str, runs: pd.DataFrame) -> str:
    """How many of the records that are planned for a task's claims are missing, of the variants of `runs`; empty if
    none are."""
    plan = plan_of(task)
    if plan is None or runs.empty:
        return ""
    wanted = set(range(plan.first, plan.last + 1))
    left = {variant: len(wanted - set(rows.seed)) for variant, rows in runs.groupby("variant")}
    number, records = sum(left.values()), count(len(wanted) * len(left), "record")
    text = f"{number} of the {records} of {task} planned for seeds {plan.first}-{plan.last}"
    return f"{text} ([campaign.md](campaign.md) has their cost)" if number else ""


def not_run(*studies: tuple[Study, pd.DataFrame], records: str = "") -> str:
    """Which runs of studies are missing, with what their files state as the cost of all; after the same of records.
    Empty if none are missing."""
    parts = [records] if records else []
    for study, rows in studies:
        if left := study.size - len(rows):
            head = re.search(r"^# Costs: ([^(.]+)", studyfile.find(study.name).read_text(), re.MULTILINE)
            cost = f" (all of them: {head[1].strip()})" if head else ""
            parts.append(f"{left} of {count(study.size, 'run')} of {study.name}{cost}")
    return "; ".join(parts) + "." if parts else ""


def _counted(values: pd.Series) -> str:
    return ", ".join(f"{text} ({number})" for text, number in collections.Counter(values).items())
