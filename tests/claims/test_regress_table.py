"""The text and the exit status of `repro regress`."""

import re

import numpy as np
import pytest

from repro.claims.regress import regress
from repro.claims.regress_table import format_table, select_required
from repro.errors import UserError
from tests.claims.synthetic import records
from tests.claims.test_regress import ACCEPTED, OLD, code, lognormal


def test_exit_status():
    old = records({"a": OLD, "b": OLD})
    a, far = records({"a": OLD}), records({"b": 9 * OLD})
    assert code(a, old) == 0
    assert code(records({"a": OLD, "b": 9 * OLD}), old) == code(far, old, "toy/a") == 1
    assert code(records({}), old) == code(records({}), records({})) == 3
    assert code(a, old, "all") == code(a, old, "toy") == code(a, old, "toy/b") == code(a, old, "toy/b/mse") == 3
    assert code(old, old, "all") == code(a, old, "toy/a/*") == code(a, old, "toy/[a]", "toy/a/mse") == 0


def test_only_required_cells_need_enough_seeds():
    old = records({"a": OLD, "b": lognormal(np.random.default_rng(2), 10, spread=1.0)})
    new = records({"a": OLD, "b": [1.3]})
    assert code(new, old) == 3 and code(new, old, "toy/a") == 0


def test_a_pattern_without_cells_is_refused():
    with pytest.raises(UserError, match="--require toy/z: no accepted cell matches.*tasks with accepted results: toy"):
        code(ACCEPTED, ACCEPTED, "toy/z")


def test_the_text_names_what_is_lacking():
    old = records({"a": OLD, "b": lognormal(np.random.default_rng(2), 10, spread=1.0)})
    cells = regress(records({"b": [1.3]}), old)
    text = format_table(cells, select_required(cells, ()))
    assert re.search(r"not settled: 1 cell with too few new seeds \(1\); they detect factors of [\d.]+ and more", text)
    assert "2 cells: 0 same, 0 moved, 1 too few" in text
    text = format_table(cells, select_required(cells, ["toy/a"]))
    assert "not settled: required, not run: 1 cell (1 of toy)" in text and "too few new" not in text
    nothing = regress(records({}), old)
    assert "nothing was compared" in format_table(nothing, [])
    assert "not settled" not in format_table(regress(old, old), regress(old, old))
    assert "no accepted results" in format_table([], [])


def test_a_cell_for_every_metric():
    accepted = ACCEPTED.assign(rate=10.0)
    cells = regress(ACCEPTED.assign(rate=12.0), accepted)
    assert {cell.metric: cell.verdict for cell in cells} == {"mse": "same", "rate": "moved"}
    text = format_table(cells, cells)
    assert "moved: toy a rate: t-test over 10 pairs of one seed, p = " in text
    assert "x 1.2" in text and "any change" in text and "2 cells: 1 same, 1 moved" in text
