"""Statistics of times until something happens, such as iterations until a task is solved, of which some are censored.

`times` [run] are those of the event, or, where `censored` [run], of the end of the run without it. A run that was lost
never has the event: it is censored at infinity and stays among those at risk. scipy's Kaplan-Meier estimate and
log-rank test.
"""

import math
import warnings
from typing import Any

import numpy as np

from repro.claims.stats import LEVEL

FOR_EVER = 1e300  # scipy wants finite times
ROUNDING = 1e-9
FEWEST = 6  # runs for an interval of the median


def median(times: np.ndarray, censored: np.ndarray) -> float:
    """The Kaplan-Meier median: the time by which half of the runs have had the event; infinite if they have not.

    Where exactly half have had it, it is the middle between that event and the next, as for uncensored data.
    """
    at, surviving, _, _ = curve(times, censored)
    reached = np.flatnonzero(surviving <= 0.5 + ROUNDING)
    if not len(reached):
        return math.inf
    first = int(reached[0])
    if surviving[first] < 0.5 - ROUNDING:
        return float(at[first])
    later = at[np.flatnonzero(surviving < 0.5 - ROUNDING)[:1]]
    return float((at[first] + later[0]) / 2) if len(later) else math.inf


def interval_of_median(times: np.ndarray, censored: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the median (Brookmeyer and Crowley): the times at which the log-log interval of the
    Kaplan-Meier curve contains one half. The upper end may be infinite: at a curve that has come to 0 the log-log
    interval has none. Fewer than six runs: (nan, nan), for even from the first to the last it covers less than 95 %.

    The lower end is at most where the last runs were given up, if it may lie anywhere beyond.
    """
    if len(times) < FEWEST:
        return math.nan, math.nan
    at_best, _, low, _ = curve(times, censored & ~given_up_last(times, censored))
    at, surviving, _, high = curve(times, censored)
    first, last = at_best[low <= 0.5], at[(high <= 0.5) & (surviving > ROUNDING)]
    return float(first[0]) if len(first) else math.inf, float(last[0]) if len(last) else math.inf


def given_up_last(times: np.ndarray, censored: np.ndarray) -> np.ndarray:
    """Which runs [run] were given up where all records end: what becomes of them later is not known, and at best they
    have the event at once. None where the last run to end had the event, or all were lost."""
    last = np.max(times, initial=-math.inf, where=np.isfinite(times))
    return censored & (times == last)


def log_rank(times: np.ndarray, censored: np.ndarray, others: np.ndarray, others_censored: np.ndarray) -> float:
    """Two-sided p of the log-rank test that two groups of runs have the same distribution of times; 1 if no run of
    either had the event, nan if no event decides: where one happened, runs of one group alone were left, or all had it.
    """
    from scipy.stats import logrank

    if censored.all() and others_censored.all():
        return 1.0
    with np.errstate(invalid="ignore"):  # no event decides: 0 / 0
        return float(logrank(_data(times, censored), _data(others, others_censored)).pvalue)


def _data(times: np.ndarray, censored: np.ndarray) -> Any:
    from scipy.stats import CensoredData

    finite = np.minimum(np.asarray(times, dtype=float), FOR_EVER)
    return CensoredData(uncensored=finite[~censored], right=finite[censored])


def curve(times: np.ndarray, censored: np.ndarray) -> tuple[np.ndarray, ...]:
    """The Kaplan-Meier curve at its event times: times, surviving share, lower and upper end of its 95 % interval."""
    from scipy.stats import ecdf

    estimate = ecdf(_data(times, censored)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no interval where nothing, or all, has happened
        interval = estimate.confidence_interval(LEVEL, method="log-log")
    at, surviving = np.asarray(estimate.quantiles), np.asarray(estimate.probabilities)
    event = np.isin(at, np.asarray(times)[~censored])
    done = surviving <= ROUNDING
    low, high = (np.where(done, 0.0, end.probabilities) for end in (interval.low, interval.high))
    return at[event], surviving[event], low[event], high[event]
