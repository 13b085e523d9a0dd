"""What a fault came to: lost, silently wrong, traceback, told or unharmed."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.commands import Ending

if TYPE_CHECKING:
    from tests.faults.sandbox import Bench

LOST, WRONG, TRACEBACK, TOLD, UNHARMED, SKIPPED = (
    *("lost", "silently wrong", "traceback"),
    *("told", "unharmed", "skipped"),
)
HUNG = "it hung and had to be stopped"
BAD = (LOST, WRONG, TRACEBACK)
SENTENCE = re.compile(r"^(repro: |usage: )", re.MULTILINE)
PROGRESS = re.compile(r"^(iteration \d|synthesising |note: |epoch |Epoch |\s*$)")
MOST_LINES, MOST_LETTERS = 6, 1500


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a fault: one of the words above, the command that showed it, and details."""

    word: str
    command: str = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault: `kind` and `where` are its row in the table, `make` does it and returns what came of it.

    The name (a group, a row, a number) is fixed by the committed generator, so that a fault can be repeated alone.
    """

    name: str
    kind: str
    where: str
    about: str
    make: "Callable[[Bench], Outcome]"


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several: lost, then silently wrong, traceback, told, unharmed."""
    order = (*BAD, TOLD, UNHARMED, SKIPPED)
    return min(outcomes, key=lambda outcome: order.index(outcome.word), default=Outcome(UNHARMED))


def no_sentence(ending: Ending) -> str:
    """What is wrong with how a command ended, as a user sees it; empty where it succeeded or printed a sentence."""
    if ending.hung:
        return HUNG
    if "Traceback (most recent call last)" in ending.err or re.search(r"^(Exception|Fatal|\w+Error:)", ending.err):
        return f"a traceback: {last_line(ending.err)}"
    if ending.status in (0, 130) or (ending.status in (1, 3) and ending.out.strip()):
        return ""
    if ending.status < 0:
        return f"killed by signal {-ending.status}"
    lines = [line for line in ending.err.splitlines() if not PROGRESS.match(line)]
    if not SENTENCE.search(ending.err):
        return f"exit status {ending.status} without a sentence: {last_line(ending.err)}"
    if len(lines) > MOST_LINES or max(map(len, lines)) > MOST_LETTERS:
        return f"more than a few lines: {len(lines)}, the longest of {max(map(len, lines))} letters"
    return ""


def last_line(text: str) -> str:
    """The last line that is not empty, shortened."""
    lines = [line for line in text.splitlines() if line.strip()]
    return shortened(lines[-1]) if lines else "nothing was printed"


def shortened(text: str, letters: int = 240) -> str:
    """At most so many letters."""
    return text if len(text) <= letters else f"{text[:letters]}..."


def names(ending: Ending, path: Path, truth: Ending) -> bool:
    """Whether lines that an undisturbed command does not print name the damaged file, or a folder that it lies in."""
    usual = set(truth.out.splitlines()) | set(truth.err.splitlines())
    lines = [line for line in (ending.out + "\n" + ending.err).splitlines() if line not in usual]
    words = [path.name, *(part for part in path.parts[-4:-1] if part not in ("runs", "accepted", "results", "work"))]
    return any(word in line for line in lines for word in words)


def judge(ending: Ending, truth: Ending, path: Path, same: bool | None = None) -> Outcome:
    """The outcome of a command that read a damaged file, beside what it does undisturbed.

    `same` is whether what the command made is what it makes undisturbed; where it is None, its output decides.
    """
    if why := no_sentence(ending):
        return Outcome(TRACEBACK, str(ending), why)
    equal = normal(ending) == normal(truth) if same is None else same
    if ending.status == truth.status and equal:
        return Outcome(UNHARMED, str(ending))
    says = difference(ending, truth)
    if names(ending, path, truth) and (ending.status not in (0, truth.status) or (same is None and _is_report(ending))):
        return Outcome(TOLD, str(ending), says)
    if ending.status == 2:
        return Outcome(TRACEBACK, str(ending), f"the damaged file is not named: {says}")
    return Outcome(WRONG, str(ending), says)


def _is_report(ending: Ending) -> bool:
    """Listings show a damaged run in its line and go on."""
    return bool(
        re.search(r"broken|damaged|not a |cannot be read|is missing|refused|differs|warning", ending.out + ending.err)
    )


def normal(ending: Ending) -> str:
    """Output without what differs from call to call: how long something took, process numbers."""
    text = ending.out
    if ending.words[0] != "sweep":
        return text
    text = re.sub(r"\b\d+(\.\d+)? (s|min|h)\b", "TIME", text)
    return re.sub(r"[\w.]+-\d{2,}(-\d+)?(?=[ ,:;/)]|$)", "PROCESS", text)


def difference(ending: Ending, truth: Ending) -> str:
    """The first line that differs from the undisturbed output, or the error."""
    if errors := [line for line in ending.err.splitlines() if SENTENCE.match(line)]:
        return shortened(errors[-1])
    usual = set(normal(truth).splitlines())
    other = [line for line in normal(ending).splitlines() if line not in usual]
    if other or ending.status != truth.status:
        return shortened(other[0].strip()) if other else f"exit status {ending.status}, undisturbed {truth.status}"
    return "it exits with 0, and what it made differs"


def record_of(folder: Path, read: "Callable[[Path], Any]") -> Any:
    """The record in a run's folder, None where there is none."""
    path = folder / "record.json"
    return read(path) if path.is_file() else None


def as_lines(outcomes: Sequence[tuple[Fault, Outcome]]) -> list[str]:
    """One line for each fault that came out badly."""
    return [
        f"{outcome.word}: {fault.name}: {fault.about}; `{shortened(outcome.command, 160)}`: {outcome.detail}"
        for fault, outcome in outcomes
        if outcome.word in BAD
    ]
