"""docs/records.md names every field and column, and its examples run."""

import dataclasses
import re

import pytest

from repro.records.frames import CURVE_TYPES, TYPES
from repro.records.record import Part, RunRecord
from repro.records.store import CHECKOUT

PAGE = (CHECKOUT / "docs" / "records.md").read_text(encoding="utf-8")
SECTIONS = dict(zip(re.findall(r"^## (.*)$", PAGE, re.M), re.split(r"^## .*$", PAGE, flags=re.M)[1:], strict=True))


def names(text: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", text))


@pytest.mark.parametrize(
    ("section", "listed"),
    [
        ("The fields of a record", [field.name for field in dataclasses.fields(RunRecord)]),
        ("The fields of a record", [field.name for field in dataclasses.fields(Part)]),
        ("Frames", [*TYPES, *CURVE_TYPES]),
    ],
)
def test_every_name_is_listed(section, listed):
    assert set(listed) <= names(SECTIONS[section])
    assert not {"no_such_field", *listed} <= names(SECTIONS[section])  # control


def test_the_table_states_the_types_of_the_columns():
    rows = re.findall(r"^\| (`.*?) \| (\w+) \|", SECTIONS["Frames"], re.M)
    stated = {name: kind for columns, kind in rows for name in names(columns)}
    assert stated == TYPES


def test_the_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", SECTIONS["Frames"], re.S)
    variables: dict = {}
    exec(code.replace('"accepted"', repr(str(CHECKOUT / "results" / "accepted"))), variables)
    assert {"config.learning_rate", "config.n_rec", "nmse"} <= {*variables["runs"]}
    assert len(variables["curves"]) == 448 * 1000 + 462 + 140
