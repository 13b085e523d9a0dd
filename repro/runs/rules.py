"""From a config's rule settings to the library's rule, feedback and callback."""

from typing import Any

import pytorch_lightning as pl

from repro.eprop.lightning import EPropCallback
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Frozen, Rule
from repro.eprop.rules.signals import Feedback
from repro.eprop.rules.traces import Trace
from repro.errors import UserError
from repro.runs.rule_settings import RuleSettings, WindowSettings
from repro.runs.seeds import generator

# The rules that need the true gradient of the readout, by the config's name for them.
WITHOUT_TRACE: dict[str, Rule] = {"bptt": BPTT(), "autograd": BPTT(), "readout_only": Frozen()}


def learning_rules(config: Any, seed: int) -> list[pl.Callback]:
    """The callback that a config's rule settings describe; none for a config without any, and for algorithm=autograd.

    Raises UserError for a combination that has no meaning.
    """
    if isinstance(config, WindowSettings) and getattr(config, "algorithm", "") != "autograd":
        return [EPropCallback(window_rule(config), feedback=None)]
    if not isinstance(config, RuleSettings):
        return []
    rule, feedback = rule_of(config), feedback_of(config)
    if config.algorithm == "autograd":
        return []
    return [EPropCallback(rule, feedback, generator(seed, "feedback").initial_seed())]


def rule_of(settings: RuleSettings) -> Rule:
    """The rule for input and recurrent weights. Raises UserError for a combination that has no meaning."""
    if settings.algorithm != "eprop":
        if settings.trace != "full" or settings.feedback_window_ms or settings.evaluator != "factored":
            raise UserError(
                f"algorithm={settings.algorithm} has no eligibility trace: leave trace, evaluator and "
                "feedback_window_ms alone"
            )
        if settings.algorithm not in WITHOUT_TRACE:
            raise UserError(f"algorithm={settings.algorithm}: repro/runs/rules.py makes no rule of it")
        return WITHOUT_TRACE[settings.algorithm]
    if settings.evaluator == "online" and settings.trace != "full":
        raise UserError(f"evaluator=online keeps the full eligibility trace; for trace={settings.trace} use factored")
    if settings.evaluator == "online" and settings.feedback_time == "slice":
        raise UserError("evaluator=online cannot know later errors: feedback_time=slice needs evaluator=factored")
    clopath = settings.clopath_thresholds, settings.clopath_rectified, settings.clopath_falls_off
    return EProp(Trace(settings.trace, *clopath))


def feedback_of(settings: RuleSettings) -> Feedback:
    """The feedback of the readout. Raises UserError for a combination that has no meaning."""
    if settings.algorithm in WITHOUT_TRACE:
        return Feedback("symmetric")
    if settings.feedback_window_ms and settings.feedback != "random":
        raise UserError(f"feedback_window_ms resamples random feedback; feedback={settings.feedback} has none")
    if settings.feedback != "random":
        return Feedback(settings.feedback)
    variance = "one" if settings.feedback_variance == "one" else "one_over_n"
    return Feedback("random", settings.feedback_window_ms, settings.feedback_time, variance)


def window_rule(settings: WindowSettings) -> Rule:
    """The rule of an LSTM layer that learns in windows."""
    if settings.vectors == "none":
        return BPTT()
    trace = "full" if settings.vectors == "carried" else "truncated"
    return EProp3(trace) if settings.recurrence else EProp(trace)
