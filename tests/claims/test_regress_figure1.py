"""Figure 1's accepted records: what `repro regress` finds with ten seeds, and with one."""

import numpy as np
import pandas as pd
import pytest

from repro.claims.regress import regress
from repro.claims.regress_table import format_table
from repro.records import frames
from repro.records.store import CHECKOUT
from tests.claims.test_regress import HERE

FIGURE1 = frames.load(CHECKOUT / "results" / "accepted", "pattern_generation")


def elsewhere(change: dict[str, float], seeds: int = 10, noise: float = 0.1) -> pd.DataFrame:
    """Figure 1's accepted runs as another machine might give them. `noise`, made up, is the spread of the logarithm of
    an error about that of the accepted run of its seed; `change` maps a bar to a factor on its nmse."""
    rng = np.random.default_rng(0)
    new = FIGURE1[FIGURE1["seed"] < seeds].assign(machine="another", weights_sha256="")
    for metric, size in {"mse": noise, "nmse": noise, "nmse_500": noise, "rate_hz": 0.002}.items():
        new[metric] *= np.exp(size * rng.standard_normal(len(new)))
    new["nmse"] *= new["variant"].map(change).fillna(1.0)
    return new


@pytest.mark.parametrize("variant", sorted(set(FIGURE1["variant"])))
def test_a_factor_in_one_bar_of_figure_1_is_caught_with_ten_seeds(variant):
    changed = regress(elsewhere({variant: 1.5}), FIGURE1, max_shift=1.5)
    assert [(c.variant, c.metric) for c in changed if c.verdict == "moved"] == [(variant, "nmse")]


def test_a_factor_that_noise_hides_is_never_called_the_same():
    quiet, loud = (regress(elsewhere({}, noise=noise), FIGURE1, max_shift=1.5) for noise in (0.1, 0.5))
    assert {cell.verdict for cell in quiet} == {"same"} and len(quiet) == 36
    assert {cell.verdict for cell in loud if cell.metric != "rate_hz"} == {"too few"}
    for variant in sorted(set(FIGURE1["variant"])):
        cells = regress(elsewhere({variant: 1.5}, noise=0.5), FIGURE1, max_shift=1.5)
        assert {c.verdict for c in cells if (c.variant, c.metric) == (variant, "nmse")} <= {"moved", "too few"}


def test_what_one_seed_of_figure_1_detects_is_stated():
    for variant in sorted(set(FIGURE1["variant"])):
        cells = {(c.variant, c.metric): c for c in regress(elsewhere({variant: 1.5}, seeds=1), FIGURE1)}
        cell, logs = cells[variant, "nmse"], np.log(FIGURE1[FIGURE1["variant"] == variant]["nmse"])
        assert cell.verdict == "too few" and cell.detectable > 2
        assert cell.detectable > np.exp(4 * logs.std(ddof=1))  # t of 9 degrees of freedom at 0.05 / 36 is 4.6
    text = format_table([cell], [cell])
    assert f"x {cell.detectable:.3g}" in text and "too few new seeds (1)" in text


def test_the_same_machine_needs_one_seed_alone():
    here = FIGURE1.assign(**HERE, weights_sha256="")
    changed = here[here["seed"] == 0].assign(nmse=lambda f: np.where(f["variant"] == "bptt", 1.5, 1.0) * f["nmse"])
    moved = [(c.variant, c.metric) for c in regress(changed, here) if c.verdict == "moved"]
    assert moved == [("bptt", "nmse")] and not any(c.verdict == "too few" for c in regress(changed, here))
