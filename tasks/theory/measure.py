"""All that is measured, in one run."""

import numpy as np

from tasks.theory import costs, eq10, lstm, spiking
from tasks.theory.config import TheoryConfig


def measure(config: TheoryConfig, seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Metrics by name, and the map of Eq. 10 (see `tasks.theory.eq10`).

    `eq1` is the worst of Eq. 1's relative errors.
    """
    metrics = spiking.eq1(config, seed) | lstm.eq1(config, seed)
    metrics["eq1"] = max(error for name, error in metrics.items() if name != "eq1_partial")
    for part in (lstm.eq70, spiking.alpha0, costs.online, costs.cost):
        metrics |= part(config, seed)
    shares, maps = eq10.eq10(config, seed)
    return metrics | shares, maps
