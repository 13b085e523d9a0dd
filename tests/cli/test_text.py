"""Text output of the command line."""

import io
from pathlib import Path

import pytest

from repro.text import LiveLines, count, duration, megabytes, seeds_text, shown, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "1 s"),
        (62, "62 s"),
        (90, "1.5 min"),
        (1560, "26 min"),
        (5400, "1.5 h"),
        (86400, "24 h"),
        (358560, "100 h"),
        (4e5, "111 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_and_counts() -> None:
    assert [megabytes(size) for size in (0.1, 45, 1234)] == ["1 MB", "45 MB", "1.2 GB"]
    assert [count(number, "run") for number in (0, 1, 9)] == ["0 runs", "1 run", "9 runs"]


def test_table_is_aligned() -> None:
    assert table([("a", "bcd", "e f"), ("abc", "d", "")], ("X", "Y", "Z")) == "X    Y    Z\na    bcd  e f\nabc  d"


def test_paths_are_as_short_as_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "results") == "results"
    assert shown(Path("/elsewhere/results")) == "/elsewhere/results"


class Terminal(io.StringIO):
    """A stream whose `isatty` is true."""

    def isatty(self) -> bool:
        """Always."""
        return True


@pytest.mark.parametrize(
    ("stream", "written"),
    [(io.StringIO(), "done\n"), (Terminal(), "\r\x1b[Jat work\r\x1b[Jdone\n")],
)
def test_only_a_terminal_sees_the_live_line(stream: io.StringIO, written: str) -> None:
    screen = LiveLines(stream)
    screen.show("at work")
    screen.say("done")
    assert stream.getvalue() == written


def test_seeds() -> None:
    assert seeds_text([3, 1, 2, 7, 9, 8, 7]) == "seeds 1-3, 7-9"
    assert (seeds_text([4]), seeds_text([4, 5]), seeds_text([9, 0, 4])) == ("seed 4", "seeds 4, 5", "seeds 0, 4, 9")
