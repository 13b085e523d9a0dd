"""The table that a figure is drawn from, made of records; all its runs are of one size."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from repro.claims.claim import load_claims, plan_of
from repro.claims.stats import BOOTSTRAP_FROM, student_half_width
from repro.errors import UserError
from repro.records import frames
from repro.records.record import RunRecord, read_arrays, read_record
from repro.records.store import is_accepted
from repro.runs.sizes import Size, choose
from repro.runs.task import Task
from repro.text import count

DRAWS = 2000  # of a bootstrap


@dataclasses.dataclass(frozen=True)
class Table:
    """The runs of a task at one size: one row per run, as `repro.records.frames.load` returns them; no rows if there is
    nothing to draw. `stamp` and `source` are those of the `Size`. With `so_far`, unfinished runs count as finished if a
    variant has no others."""

    task: Task
    runs: pd.DataFrame
    where: str | Path
    stamp: str
    source: str
    so_far: bool = False

    @property
    def finished(self) -> pd.DataFrame:
        """The rows of runs that ended with a result; see `so_far`."""
        ended = self.runs.status == "finished"
        if self.so_far:
            ended |= (self.runs.status == "unfinished") & ~self.runs.variant.isin(self.runs.variant[ended])
        return self.runs[ended]

    def with_unfinished(self) -> "Table":
        """The same runs, with `so_far`."""
        return dataclasses.replace(self, so_far=True)

    def progress(self, variant: str) -> str:
        """Progress of a variant's unfinished runs, from the one that is least far: "13 of 20 iterations"; empty if they
        finished."""
        reasons = self.finished[self.finished.variant == variant].reason
        return min(reasons, key=lambda text: (len(text), text), default="")

    def values(self, variant: str, metric: str) -> np.ndarray:
        """One number per finished seed; [seed]."""
        rows = self.finished[self.finished.variant == variant]
        return np.asarray(rows.reindex(columns=[metric])[metric], dtype=float)

    def times(self, variant: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """The same as times [seed], with whether they are censored [seed]: lower bounds are, and at infinity lost runs
        and those without the metric. See repro.claims.survival."""
        values, bound = self.values(variant, metric), self.values(variant, f"{metric}_at_least") == 1
        lost = np.full(self.failures(variant), np.inf)
        times = np.append(np.where(np.isnan(values), np.inf, values), lost)
        return times, np.append(bound, lost > 0) | np.isinf(times)

    def failures(self, variant: str) -> int:
        """Number of lost seeds of a variant."""
        return int(((self.runs.variant == variant) & (self.runs.status == "failed")).sum())

    def count(self, variant: str) -> str:
        """Number of seeds of a bar as text: "10", or "9 of 10" if one failed."""
        finished, failed = len(self.values(variant, "seed")), self.failures(variant)
        return f"{finished} of {finished + failed}" if failed else str(finished)

    def several(self, *variants: str) -> bool:
        """Whether one of some variants (all, if none is named) has several finished seeds."""
        return any(len(self.values(variant, "seed")) > 1 for variant in variants or self.task.variants)

    def seeds_column(self, width: float, *variants: str) -> list[tuple[float, str, dict[str, str]]]:
        """The number of seeds of each of some variants (all, if none is named) as a column of `width` inches; none if
        they have equally many."""
        counts = {variant: self.count(variant) for variant in variants or self.task.variants}
        return [(width, "seeds", counts)] if len(set(counts.values())) > 1 else []

    def absence(self, variant: str) -> str:
        """Why a variant cannot be drawn: "failed", "not run", or empty when it can."""
        if variant in set(self.finished.variant):
            return ""
        return "failed" if self.failures(variant) else "not run"

    def of_seeds(self, mean: str, *variants: str) -> str:
        """Describes the lines and bars of variants (all, if none is named): "mean of 10 seeds, 95 % interval"; also how
        many runs were lost."""
        gone = sum(map(self.failures, variants or self.task.variants))
        return self._of_seeds(mean, variants) + (f"; {count(gone, 'run')} lost" if gone else "")

    def _of_seeds(self, mean: str, variants: Sequence[str]) -> str:
        counts = sorted({len(self.values(variant, "seed")) for variant in variants or self.task.variants} - {0})
        if counts in ([], [1]):
            return "one seed each" if len(variants) != 1 else "one seed"
        return f"{mean} of {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds, 95 % interval"

    def printed(self, panel: str) -> dict[str, float]:
        """Variant -> the value that the paper prints in a panel; empty unless runs are of the paper's size and data."""
        return {} if self.stamp else self.claimed(panel)

    def claimed(self, panel: str) -> dict[str, float]:
        """The same for runs of any size and data: for values that are printed and not compared."""
        return {
            claim.variant: claim.claimed
            for claim in load_claims()
            if (claim.task, claim.panel) == (self.task.name, panel)
            and claim.kind in ("value", "literature")
            and claim.claimed is not None
        }

    def curves(self, series: str) -> dict[str, np.ndarray]:
        """Variant -> one curve per finished seed; [seed, trial]."""
        if self.finished.empty:
            return {}
        rows = frames.load_curves(self.where, series, self.task.name)
        rows = rows.merge(self.finished[["variant", "seed", "config_hash"]])
        return {
            str(variant): group.pivot(index="seed", columns="iteration", values=series).to_numpy()
            for variant, group in rows.groupby("variant")
        }

    def example(
        self, variant: str, *names: str, wanted: Callable[[dict[str, np.ndarray]], bool] | None = None
    ) -> tuple[RunRecord, dict[str, np.ndarray]]:
        """The record of a variant's lowest finished seed, and its arrays; of the lowest with arrays that are `wanted`,
        if there is one.

        Raises UserError when one of the arrays `names` is not among them.
        """
        folders = self._folders(variant)
        if wanted is not None:
            folders = [folder for folder in folders if wanted(_read(folder, names))] or folders
        return read_record(folders[0]), _read(folders[0], names)

    def arrays(self, variant: str, *names: str) -> dict[str, np.ndarray]:
        """Arrays of all finished seeds of a variant, stacked; [seed, ...].

        Raises UserError when one of them is not in a record.
        """
        seeds = [_read(folder, names) for folder in self._folders(variant)]
        return {name: np.stack([arrays[name] for arrays in seeds]) for name in names}

    def _folders(self, variant: str) -> list[Path]:
        """Folders of the finished runs of a variant, ordered by seed."""
        rows = self.finished[self.finished.variant == variant]
        return [Path(folder) for folder in rows.sort_values("seed").folder]


def _read(folder: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    arrays = read_arrays(folder, read_record(folder))
    lacking = sorted(set(names) - set(arrays))
    if lacking:
        raise UserError(f"the record in {folder} has no array {', '.join(lacking)}; train that run again")
    return arrays


def gather(task: Task, where: str | Path) -> Table:
    """The runs of one size, see `choose`; of accepted records those that the verdicts rest on, if there are any.

    Raises UserError when a record cannot be read.
    """
    known = frames.load(where, task.name, "all")
    size, runs = choose(task, known)
    if not size.stamp and is_accepted(where):
        _, runs = choose(task, _planned(task, known, size))
    return Table(task, runs.reset_index(drop=True), where, size.stamp, size.source)


def _planned(task: Task, runs: pd.DataFrame, size: Size) -> pd.DataFrame:
    """The runs of a size with planned seeds; of a variant that has none yet all runs, as the README shows them."""
    plan = plan_of(task.name)
    if plan is None:
        return runs
    of_size = runs.config_hash.isin([digest for hashes in size.hashes.values() for digest in hashes])
    planned = of_size & plan.covers(runs.seed, runs.device)
    return runs[planned | ~runs.variant.isin(runs.variant[planned])]


def mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of the mean over the first axis of values [seed, ...], low and high [...]: of fewer than
    `BOOTSTRAP_FROM` seeds Student's t, then a bootstrap. One seed has no width."""
    seeds = len(values)
    if seeds < BOOTSTRAP_FROM:
        half = student_half_width(values) if seeds > 1 else 0.0
        return values.mean(axis=0) - half, values.mean(axis=0) + half
    weights = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS) / seeds
    low, high = np.quantile(np.tensordot(weights, values, axes=1), [0.025, 0.975], axis=0)
    return low, high
