"""Whether new results moved away from the accepted ones, for every cell: task, variant, config and metric.

With three new seeds or more, and as many accepted ones, a cell has moved when Welch's test is significant (p < 0.05
after Holm over all cells) and the means differ by at least half an accepted standard deviation: a minimum effect
without a unit, that fits errors, rates and accuracies alike. With fewer new seeds, each is compared with the accepted
run of its seed: bit-equal is the same, and a distance beyond three accepted standard deviations has moved. All this is
on a log scale where every value is positive, because the spread of an error grows with the error. A run that fails or
gives NaN where the accepted one finished has moved; unfinished runs are left out. Five new seeds against ten see shifts
of about two standard deviations.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from repro.claims.evidence import by_seed, finite
from repro.claims.stats import holm, welch_test
from repro.text import aligned

ALPHA = 0.05
ENOUGH = 3  # seeds on either side for Welch's test
MINIMUM_EFFECT = 0.5  # accepted standard deviations between the means
OUTLIER = 3.0  # accepted standard deviations between two runs of one seed
CELL = ["task", "variant", "config_hash"]
NOT_METRICS = {*CELL, "profile", "seed", "status", "reason", "wall_s", "started", "folder"}


@dataclasses.dataclass(frozen=True)
class CellResult:
    """One metric of one config: the accepted mean and standard deviation over `n_accepted` seeds, the mean over
    `n_new` new ones, `p` after Holm (nan where no test was made), and a verdict: "same", "moved" or "not run"."""

    task: str
    variant: str
    config_hash: str
    metric: str
    accepted: float
    deviation: float
    n_accepted: int
    observed: float
    n_new: int
    p: float
    verdict: str
    reason: str


def regress(runs: pd.DataFrame, accepted: pd.DataFrame) -> list[CellResult]:
    """Judge every cell that has accepted values; both frames as repro.records.frames.load returns them."""
    runs, accepted = (records[records["status"] != "unfinished"] for records in (runs, accepted))
    metrics = [name for name in accepted.columns if name not in NOT_METRICS]
    cells = [
        _Cell(key, metric, _rows(accepted, key), _rows(runs, key))
        for key in accepted[CELL].drop_duplicates().sort_values(CELL).itertuples(index=False, name=None)
        for metric in metrics
    ]
    cells = [cell for cell in cells if len(cell.accepted)]
    tested = [cell for cell in cells if cell.testable]
    adjusted = dict(zip(map(id, tested), holm([welch_test(*c.scaled) for c in tested]), strict=True))
    return [cell.result(adjusted.get(id(cell), math.nan)) for cell in cells]


def _rows(records: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    mask = np.logical_and.reduce([records[name] == value for name, value in zip(CELL, key, strict=True)])
    return by_seed(records[mask])


class _Cell:
    """The two samples of one cell, indexed by seed, and the seeds that newly failed.

    Where no accepted run failed, none may; else the seeds that finished may not.
    """

    def __init__(self, key: tuple[str, str, str], metric: str, accepted: pd.DataFrame, new: pd.DataFrame) -> None:
        self.key, self.metric = key, metric
        self.accepted, self.new = finite(accepted, metric), finite(new, metric)
        failed = new.index.difference(self.new.index)
        excused = accepted.index.difference(self.accepted.index)
        self.broken = failed if excused.empty else failed.intersection(self.accepted.index)
        self.testable = min(len(self.new), len(self.accepted)) >= ENOUGH
        both = (self.new, self.accepted)
        self.scaled = tuple(map(np.log, both)) if all((values > 0).all() for values in both) else both
        self.spread = _deviation(self.scaled[1])

    def result(self, p: float) -> CellResult:
        verdict, reason = self._judge(p)
        mean = float(self.new.mean()) if len(self.new) else math.nan
        return CellResult(
            *self.key, self.metric, float(self.accepted.mean()), _deviation(self.accepted), len(self.accepted),
            mean, len(self.new), p, verdict, reason,
        )  # fmt: skip

    def _judge(self, p: float) -> tuple[str, str]:
        if len(self.broken):
            return "moved", f"{_seeds(self.broken)} gave no {self.metric} where the accepted runs finished"
        shared = self.new.index.intersection(self.accepted.index)
        if len(shared) and len(shared) == len(self.new) and (self.new[shared] == self.accepted[shared]).all():
            return "same", f"bit-equal to the accepted runs ({_seeds(shared)})"
        return self._welch(p) if self.testable else self._by_seed(shared)

    def _welch(self, p: float) -> tuple[str, str]:
        new, accepted = self.scaled
        distance = abs(float(new.mean() - accepted.mean()))
        large = distance > 0 and distance >= MINIMUM_EFFECT * self.spread
        ratio = f"{distance / self.spread:.2g}" if self.spread else "more than 100" if distance else "0"
        text = f"the means differ by {ratio} accepted standard deviations, p = {p:.2g} after Holm"
        return "moved" if p < ALPHA and large else "same", text

    def _by_seed(self, shared: pd.Index) -> tuple[str, str]:
        if shared.empty:
            return "not run", "no new run shares a seed with the accepted ones, and there are too few for a test"
        new, accepted = self.scaled
        distance = (new[shared] - accepted[shared]).abs()
        if math.isnan(self.spread):
            return "moved", f"{_seeds(shared)} is not bit-equal to the only accepted run, so no spread allows for it"
        far = distance[distance > OUTLIER * self.spread]
        seeds = far.index if len(far) else shared
        place = "beyond" if len(far) else "within"
        text = f"{_seeds(seeds)}: {place} {OUTLIER:g} accepted standard deviations of the accepted run of that seed"
        return ("moved" if len(far) else "same"), text


def _deviation(values: pd.Series) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _seeds(seeds: pd.Index) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def format_table(results: Sequence[CellResult]) -> str:
    """One row a cell that was run, why for those that moved, and a count."""
    if not results:
        return "no accepted results to compare with"
    rows = [("task", "variant", "metric", "accepted", "new", "p", "verdict")]
    run = [r for r in results if r.verdict != "not run"]
    for r in run:
        accepted, new = f"{r.accepted:.4g} +- {r.deviation:.2g} ({r.n_accepted})", f"{r.observed:.4g} ({r.n_new})"
        rows.append((r.task, r.variant, r.metric, accepted, new, "" if math.isnan(r.p) else f"{r.p:.2g}", r.verdict))
    lines = aligned(rows) if run else []
    lines += [f"{r.task} {r.variant} {r.metric} moved: {r.reason}" for r in run if r.verdict == "moved"]
    counts = [f"{sum(r.verdict == v for r in results)} {v}" for v in ("same", "moved", "not run")]
    return "\n".join([*lines, f"{len(results)} cells: {', '.join(counts)}"])
