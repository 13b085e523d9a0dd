"""The records of a claim: the values of a metric by seed, and the runs without a value."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from repro.claims.claim import PaperClaim
from repro.claims.criteria import SeedPlan
from repro.errors import UserError
from repro.records.frames import one_of_each
from repro.text import format_number

NO_VALUE = "no finite"  # why a run that finished counts as lost: its metric is missing or NaN


@dataclasses.dataclass(frozen=True)
class Sample:
    """One metric of one variant at the paper's scale.

    `values` [seed] are finite and indexed by seed; `lost` maps a seed to why its run gave no value (a dead network,
    NaN), `unfinished` to how far it came; `other` counts the variant's records of other settings, which may not meet a
    claim, `unplanned` those of the right settings with other seeds than the `plan`; `bounds` are the seeds whose value
    is only a lower bound: runs that were given up before they reached what the metric measures; `early` [seed] are
    values of runs that lack what the claim requires, and `lacking` describes that; `worse` is "higher", "lower" or,
    where the metric has no better and worse, empty.
    """

    name: str
    values: pd.Series
    lost: Mapping[int, str]
    unfinished: Mapping[int, str]
    other: int
    unplanned: int
    plan: SeedPlan | None
    bounds: pd.Index
    early: pd.Series
    lacking: str = ""
    worse: str = ""

    @property
    def outcomes(self) -> pd.Series:
        """The values, and for lost runs the worst there is: infinity, or minus infinity. Lost runs are left out where
        the metric has no better and worse."""
        if not self.worse or not self.lost:
            return self.values
        worst = pd.Series(np.inf if self.worse == "higher" else -np.inf, pd.Index(sorted(self.lost)))
        return pd.concat([self.values, worst]).sort_index()

    @property
    def with_the_worst(self) -> np.ndarray:
        """The outcomes, with the worst value of another run in place of infinity [seed]."""
        outcomes, values = self.outcomes.to_numpy(), self.values.to_numpy()
        return np.clip(outcomes, values.min(), values.max()) if len(values) else values

    @property
    def times(self) -> tuple[np.ndarray, np.ndarray]:
        """The values as times [run] until what the metric measures, and whether they are censored [run]: a lower bound
        is, and a lost run, at infinity."""
        lost = np.full(len(self.lost), np.inf)
        censored = np.append(self.values.index.isin(self.bounds), np.ones(len(lost), bool))
        return np.append(self.values.to_numpy(), lost), censored

    @property
    def incomplete(self) -> bool:
        """Whether planned seeds are missing."""
        return self.plan is not None and len(self.values) + len(self.lost) < self.plan.size

    def remarks(self) -> list[str]:
        """Remarks on the values: bounds, lost runs, runs that are unfinished or do not count, and why there are no
        values."""
        remarks = []
        if len(self.bounds):
            least = format_number(float(self.values[self.bounds].min()))
            count = f"{len(self.bounds)} of {len(self.values)} runs"
            remarks.append(f"{count} of {self.name} did not reach it: {least} is a lower bound")
        lost = {seed: why for seed, why in self.lost.items() if not why.startswith(NO_VALUE)}
        without = {seed: why for seed, why in self.lost.items() if seed not in lost}
        for word, runs in (("lost", lost), ("without a value", without), ("unfinished", self.unfinished)):
            if runs:
                seeds, why = ", ".join(map(str, sorted(runs))), ", ".join(sorted(set(runs.values())))
                is_ = "is" if len(runs) == 1 else "are"
                remarks.append(f"{len(runs)} of {self._runs} runs of {self.name} {is_} {word} (seed {seeds}: {why})")
        if len(self.early):
            came = " to ".join(dict.fromkeys(map(format_number, (self.early.min(), self.early.max()))))
            remarks.append(f"{len(self.early)} of {self._runs} runs of {self.name} {self.lacking} (at {came})")
        return [*remarks, *self._absence()]

    def _absence(self) -> list[str]:
        """Why there are no runs, if there are none."""
        if self._runs:
            return []
        planned = f" with one of the planned seeds, {self.plan}," if self.plan and self.unplanned else ""
        others = f"{self.unplanned} of other seeds" if self.unplanned else f"{self.other} of other settings"
        do_not = f" ({others} do not count)" if self.unplanned or self.other else ""
        return [f"no finished run of {self.name}{planned} at the paper's size{do_not}"]

    @property
    def to_come(self) -> bool:
        """Whether there are runs that do not count yet: unfinished ones, and those that lack what is required."""
        return bool(self.unfinished) or len(self.early) > 0

    @property
    def _runs(self) -> int:
        return len(self.lost) + len(self.unfinished) + len(self.values.index.union(self.early.index))


class Evidence:
    """The records by claim: only finished ones at the paper's scale count, and lost ones.

    A record whose metric METRIC_at_least is 1 holds a lower bound in METRIC. Unless `lenient`, the values of runs that
    lack what a claim requires do not count. If `planned`, only seeds of a claim's plan do.
    """

    def __init__(
        self,
        records: pd.DataFrame,
        paper: Mapping[tuple[str, str], Collection[str]],
        lenient: bool = False,
        planned: bool = False,
    ) -> None:
        """`records` as repro.records.frames.load returns them; `paper` maps (task, variant) to the hashes of configs at
        the paper's scale: where a seed has planned records of several, see `first_of_seed`."""
        self._records = records
        self._paper = paper
        self._lenient = lenient
        self._planned = planned
        self._rows: dict[tuple[str, str, SeedPlan | None], tuple[pd.DataFrame, int, int]] = {}
        self._samples: dict[tuple[object, ...], Sample] = {}

    def _at_scale(self, task: str, variant: str, plan: SeedPlan | None) -> tuple[pd.DataFrame, int, int]:
        """A variant's records at the paper's scale that were planned, indexed by seed; the number of its records of
        other settings, and of seeds at the paper's scale without a planned record."""
        key = task, variant, plan
        if key not in self._rows:
            hashes = list(self._paper.get((task, variant), ()))
            rows = self._records[(self._records["task"] == task) & (self._records["variant"] == variant)]
            ours = rows[plan.covers(rows["seed"], rows["device"])] if plan else rows
            planned, all_seeds = first_of_seed(ours, hashes), first_of_seed(rows, hashes)
            self._rows[key] = planned, len(rows) - len(all_seeds), len(all_seeds) - len(planned)
        return self._rows[key]

    def sample(self, claim: PaperClaim, variant: str, metric: str, unit: str = "") -> Sample:
        """A metric by seed, in units of the config value `unit`. Raises UserError when two records are of one run."""
        rules = claim.seeds, claim.requires, claim.worse.get(metric, "")
        key = (claim.task, variant, metric, unit, *rules)
        if key not in self._samples:  # several claims and relations need it
            self._samples[key] = self._read(claim, variant, metric, unit)
        return self._samples[key]

    def _read(self, claim: PaperClaim, variant: str, metric: str, unit: str) -> Sample:
        plan = claim.seeds if self._planned else None
        ours, other, unplanned = self._at_scale(claim.task, variant, plan)
        values = finite(ours, metric)
        without = ours.drop(values.index)
        unfinished = without[without["status"] == "unfinished"]["reason"].to_dict()
        lost = {
            int(str(seed)): row["reason"] if row["status"] == "failed" else f"{NO_VALUE} {metric}"
            for seed, row in without.drop(list(unfinished)).iterrows()
        }
        requires = claim.requires
        there = finite(ours, requires.metric).reindex(values.index) if requires else None
        early = values[:0] if there is None or requires is None else values[~(there >= requires.least)]
        values = values if self._lenient else values.drop(early.index)
        bounds = values.index[_at_least(ours, metric)[values.index]]
        return Sample(
            variant, _in_units(values, ours, unit), lost, unfinished,
            other, unplanned, plan, bounds, early,
            requires.lacking if requires else "", claim.worse.get(metric, ""),
        )  # fmt: skip


def _in_units(values: pd.Series, rows: pd.DataFrame, unit: str) -> pd.Series:
    """The values over each run's config value `unit`; none where the records come without configs."""
    if not unit:
        return values
    units = rows[f"config.{unit}"].astype(float) if f"config.{unit}" in rows else pd.Series(np.nan, rows.index)
    return (values / units[values.index]).dropna()


def first_of_seed(rows: pd.DataFrame, hashes: Sequence[str]) -> pd.DataFrame:
    """The records of some configs, indexed by seed; of a seed that has several the config that is named first of those
    whose run ended.

    Raises UserError when two of one config are of the same seed.
    """
    ours = rows[rows["config_hash"].isin(hashes)]
    _require_one_a_run(ours)
    ordered = ours.sort_values("config_hash", key=lambda digests: digests.map(hashes.index), kind="stable")
    return one_of_each(ordered, ["seed"]).set_index("seed").sort_index()


def by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """The records of one config, indexed by seed. Raises UserError when two are of the same seed."""
    _require_one_a_run(rows)
    return rows.set_index("seed").sort_index()


def _require_one_a_run(rows: pd.DataFrame) -> None:
    twice = rows[rows.duplicated(["config_hash", "seed"])]
    if len(twice):
        name = " ".join(str(twice.iloc[0][key]) for key in ("task", "variant", "config_hash"))
        raise UserError(f"{name} has two records of seed {twice.iloc[0]['seed']}; a run has one: move the other away")


def _at_least(rows: pd.DataFrame, metric: str) -> pd.Series:
    """Whether each row's metric is a lower bound."""
    mark = f"{metric}_at_least"
    return rows[mark] == 1 if mark in rows else pd.Series(False, rows.index)


def finite(rows: pd.DataFrame, metric: str) -> pd.Series:
    """A metric of the rows that finished with a finite value, indexed as they are."""
    values = rows[metric].astype(float) if metric in rows else pd.Series(np.nan, rows.index)
    return values[(rows["status"] == "finished") & np.isfinite(values)]
