"""Names and values that would be taken for others are refused."""

import dataclasses

import pytest

from repro.eprop import EProp, Feedback, Readout, Rule, UsageError


def test_a_rule_of_the_name_of_another_is_refused() -> None:
    with pytest.raises(UsageError, match=r"repro.eprop.rules.rule has a rule EProp already: give yours another name"):
        dataclasses.make_dataclass("EProp", [], bases=(Rule,), namespace={"delta": lambda self: None})
    assert Rule.by_name["EProp"] is EProp


def test_a_window_shorter_than_a_step_is_refused() -> None:
    with pytest.raises(UsageError, match=r"window_ms=0.3: a window has to last for a step of 1.0 ms"):
        Readout(4, 2, feedback=Feedback("random", window_ms=0.3))
    Readout(4, 2, feedback=Feedback("random", window_ms=0.3), dt_ms=0.1)
