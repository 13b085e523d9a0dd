"""How far new results lie from accepted ones, and how far they would have to for a test to notice. numpy; scipy's t and
chi-squared distributions."""

import dataclasses
import functools
import math

import numpy as np
import pandas as pd

PAIRS = 7  # shared seeds from which on their differences are tested; with fewer, their spread is too uncertain
POWER = 0.8
ROUNDING = 1e-9  # relative: a spread below this is one of rounding


@dataclasses.dataclass(frozen=True)
class Shift:
    """The distance of two means, on a log scale if `logs`, its standard error, and the degrees of freedom of that; no
    error is known (nan) where `freedom` is 0. `paired` is True if both samples are of the same seeds."""

    distance: float
    error: float
    freedom: int
    logs: bool
    paired: bool

    @property
    def p(self) -> float:
        """Two-sided p of Student's t-test; 1 where it has no degree of freedom."""
        from scipy.special import stdtr

        return float(2 * stdtr(self.freedom, -abs(self.distance) / self.error)) if self.freedom else 1.0

    def detectable(self, level: float) -> float:
        """The smallest distance that the test, made at `level`, finds in 80 % of repetitions: infinite where it has no
        degree of freedom. The spread is taken to be the observed one."""
        return self.error * _noncentrality(self.freedom, level) if self.freedom else math.inf


def measure_shift(new: pd.Series, accepted: pd.Series) -> Shift:
    """The shift between two samples [seed], of at least one value each; on a log scale where all are positive.

    Seven shared seeds or more, and no others, are compared in pairs: much of the spread comes with the seed (initial
    weights, targets) and drops out. All else is Student's test with a pooled variance, which supposes what is to be
    tested: that nothing has changed. For one new value it is the prediction interval of the accepted ones.
    """
    logs = bool((new > 0).all() and (accepted > 0).all())
    scale = 1.0 if logs else max(new.abs().max(), accepted.abs().max()) or 1.0  # of zeros alone: any
    new, accepted = (np.log(values) if logs else values for values in (new, accepted))
    paired = len(new) >= PAIRS and bool(new.index.isin(accepted.index).all())
    if paired:
        differences = new - accepted[new.index]
        distance, freedom, terms = float(differences.mean()), len(new) - 1, 1 / len(new)
        squares = float(((differences - distance) ** 2).sum())
    else:
        distance = float(new.mean() - accepted.mean())
        freedom, terms = len(new) + len(accepted) - 2, 1 / len(new) + 1 / len(accepted)
        squares = float(sum(((values - values.mean()) ** 2).sum() for values in (new, accepted)))
    spread = max(math.sqrt(squares / freedom), ROUNDING * scale) if freedom else math.nan
    return Shift(distance, spread * math.sqrt(terms), freedom, logs, paired)


@functools.cache
def _noncentrality(freedom: int, level: float) -> float:
    """The distance in standard errors at which a two-sided t-test at `level` has 80 % power."""
    from scipy.optimize import brentq
    from scipy.special import chdtri, ndtr, stdtrit

    critical = -stdtrit(freedom, level / 2)
    middles = (np.arange(2000) + 0.5) / 2000
    thresholds = critical * np.sqrt(chdtri(freedom, middles) / freedom)  # over the spreads that may be estimated
    high = float(thresholds.max()) + 10
    return float(brentq(lambda distance: ndtr(distance - thresholds).mean() - POWER, 0.0, high))
