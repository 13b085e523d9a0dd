"""Whether new results moved away from the accepted ones, for every cell: task, variant, config and metric.

Two runs of one seed, commit, kind of machine, number of threads and versions must agree to the bit; so must two runs
with the same final weights. A seed whose bits agree for whatever reason has not moved. All other new seeds are judged
together, by a t-test against the accepted ones (repro.claims.shift), Holm-adjusted over all cells that are tested.
A run that fails or gives NaN where the accepted one finished has moved; unfinished runs are left out.

What was not seen to move is only called "same" if a shift would have been seen: the largest one that may have been
missed is at most `max_shift`. Otherwise there are "too few" seeds.
"""

import dataclasses
import math

import numpy as np
import pandas as pd

from repro.claims.evidence import by_seed, finite
from repro.claims.shift import Shift, measure_shift
from repro.claims.stats import holm
from repro.records.frames import TYPES
from repro.text import seeds_text

ALPHA = 0.05  # of one false "moved" among all cells
MAX_SHIFT = 2.0  # a factor
CELL = ["task", "variant", "config_hash"]
PROVENANCE = ["git_commit", "device", "machine", "threads", "versions"]
AT_LEAST = "_at_least"  # METRIC_at_least marks values of METRIC


@dataclasses.dataclass(frozen=True)
class CellResult:
    """One metric of one config: the accepted mean and standard deviation over `n_accepted` seeds, and the mean over
    `n_new` new ones, of which `n_bits` were compared to the bit.

    `p` is that of the t-test of the other seeds, after Holm (nan: none made); `shift` is how far they lie from the
    accepted ones, `detectable` how far they would have to lie for the test to notice in 80 % of repetitions. Both are
    factors where all values are positive (`scale` is "factor"), else differences. Bits detect any change: a factor 1, a
    difference of 0. `verdict` is "same", "moved", "too few" or "not run".
    """

    task: str
    variant: str
    config_hash: str
    metric: str
    accepted: float
    deviation: float
    n_accepted: int
    observed: float
    n_new: int
    n_bits: int
    p: float
    scale: str
    shift: float
    detectable: float
    verdict: str
    reason: str


def regress(runs: pd.DataFrame, accepted: pd.DataFrame, max_shift: float = MAX_SHIFT) -> list[CellResult]:
    """Judge every cell that has accepted values; both frames as repro.records.frames.load returns them.

    `max_shift` is the factor, above 1, that a "same" cell must have been able to detect.
    """
    runs, accepted = (records[records["status"] != "unfinished"] for records in (runs, accepted))
    names = [name for name in accepted.columns if name not in TYPES and not name.startswith("config.")]
    metrics = [
        name for name in names if name.removesuffix(AT_LEAST) == name or name.removesuffix(AT_LEAST) not in names
    ]
    cells: list[_Cell] = []
    for key in accepted[CELL].drop_duplicates().sort_values(CELL).itertuples(index=False, name=None):
        old, new = _rows(accepted, key), _rows(runs, key)
        exact = _exact(new, old)
        cells += [_Cell(key, metric, old, new, exact) for metric in metrics if len(finite(old, metric))]
    tested = [cell for cell in cells if cell.shift]
    adjusted = dict(zip(map(id, tested), holm([cell.shift.p for cell in tested if cell.shift]), strict=True))
    level = ALPHA / max(len(tested), 1)  # what the smallest p has to pass
    return [cell.result(adjusted.get(id(cell), math.nan), level, max_shift) for cell in cells]


def _rows(records: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    mask = np.logical_and.reduce([records[name] == value for name, value in zip(CELL, key, strict=True)])
    return by_seed(records[mask])


def _exact(new: pd.DataFrame, accepted: pd.DataFrame) -> dict[int, str]:
    """Seed -> what demands equal bits of its two runs; without the seeds of which nothing does."""
    shared = new.index.intersection(accepted.index)
    if shared.empty:
        return {}
    a, b = accepted.loc[shared], new.loc[shared]
    weights = (a["weights_sha256"] == b["weights_sha256"]) & (a["weights_sha256"] != "")
    alike = (a[PROVENANCE] == b[PROVENANCE]).all(axis=1) & (a["machine"] != "") & (a["git_commit"] != "")
    alike &= ~a["git_dirty"].astype(bool) & ~b["git_dirty"].astype(bool)
    because = dict.fromkeys(shared[alike], "commit and kind of machine are the same")
    return because | dict.fromkeys(shared[weights], "the weights are the same")


class _Cell:
    """The two samples of one cell, indexed by seed; the seeds that newly failed; those that moved to the bit; and the
    shift of those that only a test can judge (None: there are none).

    Where no accepted run failed, none may; else the seeds that finished may not.
    """

    def __init__(
        self,
        key: tuple[str, str, str],
        metric: str,
        accepted: pd.DataFrame,
        new: pd.DataFrame,
        exact: dict[int, str],
    ) -> None:
        self.key, self.metric, self.exact = key, metric, exact
        self.accepted, self.new = finite(accepted, metric), finite(new, metric)
        failed = new.index.difference(self.new.index)
        excused = accepted.index.difference(self.accepted.index)
        self.broken = failed if excused.empty else failed.intersection(self.accepted.index)
        shared = self.new.index.intersection(self.accepted.index)
        equal = shared[(self.new[shared] == self.accepted[shared]).to_numpy()]
        bound = shared[shared.isin(list(exact))]
        self.changed = bound.difference(equal)
        others = self.new.index.difference(bound)
        judged_by_bits = others.isin(equal).all()
        self.bits = bound.union(others) if judged_by_bits else bound
        self.shift = None if judged_by_bits else measure_shift(self.new[others], self.accepted)
        self.logs = self.shift.logs if self.shift else bool((self.accepted > 0).all())

    def result(self, p: float, level: float, max_shift: float) -> CellResult:
        shift, detectable = self._sizes(level)
        verdict, reason = self._judge(p, self._factor(detectable), max_shift)
        return CellResult(
            *self.key, self.metric, _mean(self.accepted), _deviation(self.accepted), len(self.accepted),
            _mean(self.new), len(self.new), len(self.bits), p, "factor" if self.logs else "difference", shift,
            detectable, verdict, reason,
        )  # fmt: skip

    def _sizes(self, level: float) -> tuple[float, float]:
        """The shift and the smallest that could be detected, as a factor or a difference."""
        if self.shift is None:
            return math.nan, math.nan if self.new.empty else float(self.logs)
        sizes = self.shift.distance, self.shift.detectable(level)
        return (_exp(sizes[0]), _exp(sizes[1])) if self.logs else sizes

    def _factor(self, detectable: float) -> float:
        """The detectable shift as a factor; differences are compared with the accepted mean."""
        if self.logs or not detectable:
            return detectable if self.logs else 1.0
        mean = abs(_mean(self.accepted))
        return 1 + detectable / mean if mean else math.inf

    def _judge(self, p: float, factor: float, max_shift: float) -> tuple[str, str]:
        if len(self.broken):
            return "moved", f"{seeds_text(self.broken)} gave no {self.metric} where the accepted runs finished"
        if len(self.changed):
            return (
                "moved",
                f"{seeds_text(self.changed)} differs from the accepted run, though {self.exact[self.changed[0]]}",
            )
        if self.new.empty:
            return "not run", "no new run"
        if self.shift is None:
            return "same", f"equal to the bit ({seeds_text(self.bits)})"
        text = f"{_count(self.shift)}, p = {p:.2g} after Holm"
        if p < ALPHA:
            return "moved", text
        return ("same" if factor <= max_shift else "too few"), text


def _count(shift: Shift) -> str:
    if shift.paired:
        return f"t-test over {shift.freedom + 1} pairs of one seed"
    return "t-test" if shift.freedom else "no test: one value on either side"


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _mean(values: pd.Series) -> float:
    return float(values.mean()) if len(values) else math.nan


def _deviation(values: pd.Series) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan
