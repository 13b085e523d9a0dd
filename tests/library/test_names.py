"""Names and values that would be taken for others are refused."""

import dataclasses

import pytest

from repro.eprop import BPTT, LIF, EProp, EProp3, Feedback, Readout, RecurrentLayer, Rule, Trace, UsageError


def test_a_rule_of_the_name_of_another_is_refused() -> None:
    with pytest.raises(UsageError, match=r"repro.eprop.rules.rule has a rule EProp already: give yours another name"):
        dataclasses.make_dataclass("EProp", [], bases=(Rule,), namespace={"delta": lambda self: None})
    assert Rule.by_name["EProp"] is EProp


def test_a_window_shorter_than_a_step_is_refused() -> None:
    with pytest.raises(UsageError, match=r"window_ms=0.3: a window has to last for a step of 1.0 ms"):
        Readout(4, 2, feedback=Feedback("random", window_ms=0.3))
    Readout(4, 2, feedback=Feedback("random", window_ms=0.3), dt_ms=0.1)


def test_rules_and_feedback_read_as_one_writes_them() -> None:
    swapped = Trace("clopath", "swapped")
    for value, text in (
        (EProp(), "EProp()"),
        (EProp("truncated"), "EProp('truncated')"),
        (EProp(swapped), "EProp(Trace('clopath', clopath_thresholds='swapped'))"),
        (EProp3(), "EProp3()"),
        (BPTT(), "BPTT()"),
        (Trace(), "Trace('full')"),
        (Feedback(), "Feedback('symmetric')"),
        (Feedback("random"), "Feedback('random')"),
        (Feedback("random", window_ms=20.0, variance="one"), "Feedback('random', window_ms=20.0, variance='one')"),
    ):
        assert repr(value) == str(value) == text
        assert eval(text) == value
    assert "rule=EProp()" in repr(RecurrentLayer(LIF(), 4, 4, rule=EProp()))
