"""What came of one claim: a row of `repro check`."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ClaimResult:
    """One row of `repro check`.

    `claimed` is the paper's number, or the order that it states; `observed` the `statistic` ("mean", "median", or the
    "share" of runs that meet a condition) over `n_seeds` seeds with its 95 % interval `low` to `high`, nan where there
    is none; `bound` means that it is a lower bound, because some runs did not reach what it measures; `indicative` that
    the seeds were fewer than three, or than planned; `substitute_note` gives the results of runs of other seeds, on
    other data, of a smaller size or not finished yet, where the verdict is "no data" or "not run"; `n_lost` counts the
    runs that were lost: they are in a median or share, and not in a mean; `holds_in` is in how many readings of the
    text the claim holds, as a clause.
    """

    id: str
    panel: str
    kind: str
    claimed: float | str | None
    tolerance: str
    observed: float
    low: float
    high: float
    n_seeds: int
    bound: bool
    indicative: bool
    verdict: str
    reason: str
    substitute_note: str = ""
    statistic: str = "mean"
    n_lost: int = 0
    holds_in: str = ""
