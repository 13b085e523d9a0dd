"""The records of a claim: the values of a metric by seed, and the runs without a value."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from repro.claims.claim import Requirement
from repro.errors import UserError
from repro.text import format_number

BASE = ("task", "variant", "config_hash", "seed", "status", "reason")  # columns that every sample is made of


@dataclasses.dataclass(frozen=True)
class Sample:
    """One metric of one variant at the paper's size.

    `values` [seed] are finite and indexed by seed; `failed` maps a seed to why it gave no value, `unfinished` to how
    far it came; `other` counts the variant's records of other settings, which may not meet a claim; `bounds` are the
    seeds whose value is only a lower bound: runs that ended before they reached what the metric measures; `early`
    [seed] are values of runs that lack what the claim requires, and `lacking` describes that.
    """

    name: str
    values: pd.Series
    failed: Mapping[int, str]
    unfinished: Mapping[int, str]
    other: int
    bounds: pd.Index
    early: pd.Series
    lacking: str = ""

    @property
    def worst(self) -> pd.Series:
        """The values, with infinity for a lower bound: as bad as the truth may be."""
        return self.values.where(~self.values.index.isin(self.bounds), np.inf)

    def remarks(self) -> list[str]:
        """Remarks on the values: bounds, failures, runs that are unfinished or do not count yet, and why there are
        no values."""
        remarks = []
        if len(self.bounds):
            least = format_number(float(self.values[self.bounds].min()))
            count = f"{len(self.bounds)} of {len(self.values)} runs"
            remarks.append(f"{count} of {self.name} did not reach it: {least} is a lower bound")
        for word, runs in (("failed", self.failed), ("did not finish", self.unfinished)):
            if runs:
                seeds, why = ", ".join(map(str, sorted(runs))), ", ".join(sorted(set(runs.values())))
                remarks.append(f"{len(runs)} of {self._runs} runs of {self.name} {word} (seed {seeds}: {why})")
        if len(self.early):
            came = " to ".join(dict.fromkeys(map(format_number, (self.early.min(), self.early.max()))))
            remarks.append(f"{len(self.early)} of {self._runs} runs of {self.name} {self.lacking} (at {came})")
        elif self.values.empty and not self.failed and not self.unfinished:
            other = f" ({self.other} of other settings do not count)" if self.other else ""
            remarks.append(f"no finished run of {self.name} at the paper's size{other}")
        return remarks

    @property
    def to_come(self) -> bool:
        """Whether there are runs that do not count yet: unfinished ones, and those that lack what is required."""
        return bool(self.unfinished) or len(self.early) > 0

    @property
    def _runs(self) -> int:
        return len(self.failed) + len(self.unfinished) + len(self.values.index.union(self.early.index))


class Evidence:
    """The records by claim: only finished ones whose config is the paper's count.

    A record whose metric METRIC_at_least is 1 holds a lower bound in METRIC. Unless `lenient`, the values of runs that
    lack what a claim requires do not count.
    """

    def __init__(
        self, records: pd.DataFrame, paper_hashes: Mapping[tuple[str, str], str], lenient: bool = False
    ) -> None:
        """`records` as repro.records.frames.load returns them; `paper_hashes` maps (task, variant) to a config hash."""
        self._records = records
        self._hashes = paper_hashes
        self._lenient = lenient
        self._samples: dict[tuple[str, str, str, Requirement | None], Sample] = {}

    def sample(self, task: str, variant: str, metric: str, requires: Requirement | None = None) -> Sample:
        """A metric by seed. Raises UserError when two records are of the same run."""
        key = (task, variant, metric, requires)
        if key not in self._samples:  # several claims and relations need it
            self._samples[key] = self._read(*key)
        return self._samples[key]

    def _read(self, task: str, variant: str, metric: str, requires: Requirement | None) -> Sample:
        needed = {*BASE, metric, f"{metric}_at_least", *([requires.metric] if requires else [])}
        rows = self._records[[column for column in self._records if column in needed]]
        rows = rows[(rows["task"] == task) & (rows["variant"] == variant)]
        ours = by_seed(rows[rows["config_hash"] == self._hashes.get((task, variant), "")])
        values = finite(ours, metric)
        without = ours.drop(values.index)
        unfinished = without[without["status"] == "unfinished"]["reason"].to_dict()
        failed = {
            int(str(seed)): row["reason"] if row["status"] == "failed" else f"no finite {metric}"
            for seed, row in without.drop(list(unfinished)).iterrows()
        }
        there = finite(ours, requires.metric).reindex(values.index) if requires else None
        early = values[:0] if there is None or requires is None else values[~(there >= requires.least)]
        values = values if self._lenient else values.drop(early.index)
        bounds = values.index[_at_least(ours, metric)[values.index]]
        lacking = requires.lacking if requires else ""
        return Sample(variant, values, failed, unfinished, len(rows) - len(ours), bounds, early, lacking)


def by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """The records of one config, indexed by seed. Raises UserError when two are of the same seed."""
    twice = rows[rows["seed"].duplicated()]
    if len(twice):
        name = " ".join(str(twice.iloc[0][key]) for key in ("task", "variant", "config_hash"))
        raise UserError(f"{name} has two records of seed {twice.iloc[0]['seed']}; a run has one: move the other away")
    return rows.set_index("seed").sort_index()


def _at_least(rows: pd.DataFrame, metric: str) -> pd.Series:
    """Whether each row's metric is a lower bound."""
    mark = f"{metric}_at_least"
    return rows[mark] == 1 if mark in rows else pd.Series(False, rows.index)


def finite(rows: pd.DataFrame, metric: str) -> pd.Series:
    """A metric of the rows that finished with a finite value, indexed as they are."""
    values = rows[metric].astype(float) if metric in rows else pd.Series(np.nan, rows.index)
    return values[(rows["status"] == "finished") & np.isfinite(values)]
