"""Signals that ask a process to end: several are one interrupt."""

import os
import signal

import pytest

from repro.jobs.processes import as_one_interrupt


def test_signals_after_the_first_are_ignored_whoever_puts_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with as_one_interrupt(signal.SIGINT, signal.SIGTERM, message="stopped"):
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with pytest.raises(KeyboardInterrupt, match="stopped"):
            os.kill(os.getpid(), signal.SIGINT)
        for number, handler in handlers.items():  # as Lightning does at the end of `fit`
            signal.signal(number, handler)
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            pytest.fail("a second interrupt")
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_next_block_is_interrupted_again() -> None:
    for _ in range(2):
        with as_one_interrupt(signal.SIGTERM), pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
