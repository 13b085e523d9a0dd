"""What came of one claim: a row of `repro check`."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ClaimResult:
    """One row of `repro check`.

    `claimed` is the paper's number, or the order that it states; `observed` the `statistic` ("mean" or "median") over
    `n_seeds` seeds with its 95 % bootstrap interval `low` to `high`, nan where there is none; `bound` means that it is
    a lower bound, because some runs did not reach what it measures; `indicative` that the seeds were too few (below 3,
    or too few for any significance); `substitute_note` gives the results of runs on other data, of a smaller size or
    not finished yet, where the verdict is "no data" or "not run".
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
