"""Text for the terminal: tables, durations, sizes, paths, and a live line that no log file contains."""

import math
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Rows of text in aligned columns, two spaces apart; on a terminal the last column is wrapped to fit."""
    lines = [header, *rows] if header else list(rows)
    widths = [max(map(len, column)) + 2 for column in zip(*lines, strict=True)][:-1]
    screen = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    room = max(screen - sum(widths), 30)
    return "\n".join(_row(line, widths, room) for line in lines)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each row as one line, in columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, the first row its head; cells may contain Markdown, but neither HTML nor struck out text."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in lines)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)[|<~]", r"\\\g<0>", text)


def format_number(value: float) -> str:
    """Three digits, or all before the point; nothing for nan."""
    return "" if math.isnan(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _row(line: Sequence[str], widths: Sequence[int], room: int) -> str:
    first, *more = textwrap.wrap(line[-1], room) or [""]
    start = "".join(map(str.ljust, line, widths)) + first
    return "\n".join([start.rstrip(), *(" " * sum(widths) + rest for rest in more)])


def duration(seconds: float) -> str:
    """A time a person can read: "8 s", "3.5 min", "12 h"."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def megabytes(size: float) -> str:
    """A size a person can read: "45 MB", "1.2 GB"."""
    return f"{size / 1000:.1f} GB" if size >= 1000 else f"{max(size, 1):.0f} MB"


def shortened(text: str) -> str:
    """The first 100 characters of a text that may be of any length."""
    return text if len(text) <= 100 else f"{text[:100]} ..."


def is_plain(number: str) -> bool:
    """Whether a number is written in ASCII and without "_": Python also reads 1_000, and digits of other scripts."""
    return number.isascii() and "_" not in number


def count(number: int, word: str) -> str:
    """ "1 run", "9 runs"."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def seeds_text(seeds: Iterable[int]) -> str:
    """ "seed 3", "seeds 0, 4", "seeds 0-9, 12"."""
    there, spans = sorted({int(seed) for seed in seeds}), list[list[int]]()
    for seed in there:
        if spans and spans[-1][-1] == seed - 1:
            spans[-1].append(seed)
        else:
            spans.append([seed])
    texts = [f"{span[0]}-{span[-1]}" if len(span) > 2 else ", ".join(map(str, span)) for span in spans]
    return f"seed{'s' * (len(there) > 1)} {', '.join(texts)}"


def shown(path: Path) -> str:
    """A path as the user would type it: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class LiveLines:
    """Lines that stay, and on a terminal some lines below them that are rewritten in place."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream` (standard output)."""
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self._height = 0  # of what is shown now

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self.clear()
        print(line, file=self.stream, flush=True)

    def show(self, *lines: str) -> None:
        """Rewrite the live lines; nothing in a log. The first ones give way where the terminal is not high enough."""
        if self.live:
            size = shutil.get_terminal_size()
            fit = [line[: size.columns - 1] for line in lines[-(size.lines - 1) :]]
            self.stream.write(f"{self._to_top()}{chr(10).join(fit)}")
            self.stream.flush()
            self._height = len(fit)

    def clear(self) -> None:
        """Take the live lines away."""
        if self.live:
            self.stream.write(self._to_top())
            self.stream.flush()
            self._height = 0

    def _to_top(self) -> str:
        """Moves to the beginning of the first live line, and erases from there."""
        up = f"\x1b[{self._height - 1}A" if self._height > 1 else ""
        return f"\r{up}\x1b[J"
