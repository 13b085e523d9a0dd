"""The table of faults, the numbers of before that are committed, and the page docs/reliability.md."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.outcome import BAD, SKIPPED, Fault, Outcome, as_lines

BEFORE = Path(__file__).with_name("before.json")
KEYS = ("tried", *BAD, SKIPPED)
Row = tuple[str, str]  # the kind of fault, and the task or file
Counts = dict[str, int]  # of each of KEYS
Results = Sequence[tuple[Fault, Outcome]]

PAGE = """\
# Reliability

This page is written by `make faults`; the harness is in tests/faults. It makes {tried} faults, always the same ones:
the generators (seed {seed}) were written and tried on the code before its repair. Both halves of the table count
the same faults.

Each fault is made in a folder of its own, with the real command line, and is then judged by files and by what the
commands print:

- **lost**: a run or an accepted record that the fault did not touch is gone or changed, or the same command, run again,
  does not finish what it began.
- **silently wrong**: a command succeeds and its result differs from that of an undisturbed command, or it believes
  damaged content without a word. For accepted records, claims and study files, damage that no command notices counts.
- **traceback**: a Python traceback, a command that hangs, or a failure without one clear sentence that names the file.

What is tried:

- **Kills.** SIGKILL, SIGTERM and SIGINT at random moments, once or several times, of runs of every task, of sweeps and
  their workers, of `reproduce` and its runs, and of `accept`. Half of the moments are file operations: the process dies
  before a file is opened, renamed or synchronised, and a file that is being written is left cut off. Then the same
  command is run again. It must end with the weights and metrics of the undisturbed run; nothing may be lost or doubled.
- **Mutations.** One file is damaged: bits, length, keys, types, numbers (NaN, infinities, 400 digits), 100,000
  brackets, paths in names, identities, other content of the right form, a folder, a link or a pipe in its place. Then
  each command that reads the file is run.
- **Environment.** Full disk, deleted folders, read-only folders, no home folder, no network for W&B, clock jumps,
  little memory, closed streams, odd variables, and several of one command at once.

## Results

Numbers are of commit {before_commit} (before) and of the commit of this page (after). A fault is skipped where the file
or the data that it damages do not exist, or the machine does not permit it.

{table}

## Repeat it

<!-- not run: minutes; tests/faults/test_faults.py runs a part of it -->
```bash
make faults                                          # all of it: {minutes}
python -m tests.faults --only mutations --part 1/4   # a part of it; an interrupted call resumes
python -m tests.faults --list                        # the name of every fault
python -m tests.faults --repeat mutations            # one fault, or all whose names begin so
```

The tests run a fixed part of it (tests/faults/test_faults.py), with a control: a reader that is broken on purpose has
to be counted as silently wrong.
"""


def counts(results: Results) -> dict[Row, Counts]:
    """How many of each row were tried, and how many of these came out badly; in the order of the generators."""
    rows: dict[Row, Counts] = {}
    for fault, outcome in sorted(results, key=lambda result: result[0].name):
        row = rows.setdefault((fault.kind, fault.where), dict.fromkeys(KEYS, 0))
        row["tried"] += outcome.word != SKIPPED
        if outcome.word in KEYS:
            row[outcome.word] += 1
    return rows


def total(rows: Iterable[Counts]) -> Counts:
    """The sum of some rows."""
    summed = dict.fromkeys(KEYS, 0)
    for row in rows:
        for key, number in row.items():
            summed[key] += number
    return summed


def as_text(results: Results) -> str:
    """The table for a terminal, and one line for each fault that came out badly."""
    rows = counts(results)
    lines = [("fault", "of", *KEYS), *((*row, *_cells(numbers)) for row, numbers in rows.items())]
    lines.append(("all", "", *_cells(total(rows.values()))))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    table = "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([table, "", *as_lines(results)])


def _cells(numbers: Counts) -> tuple[str, ...]:
    return tuple(str(numbers[key]) for key in KEYS)


def write_before(results: Results, commit: str, seed: int) -> None:
    """Keep the numbers of the code before it was repaired."""
    rows = [[*row, *numbers.values()] for row, numbers in counts(results).items()]
    text = ",\n  ".join(json.dumps(row) for row in rows)
    BEFORE.write_text(f'{{"commit": "{commit}", "seed": {seed}, "keys": {json.dumps(KEYS)}, "rows": [\n  {text}\n]}}\n')


def write_page(results: Results, path: Path, seed: int) -> None:
    """Write docs/reliability.md: the table before, from before.json, beside the one of these results."""
    before = json.loads(BEFORE.read_text())
    old = {(kind, where): dict(zip(KEYS, numbers, strict=True)) for kind, where, *numbers in before["rows"]}
    new = counts(results)
    head = ("fault", "of", "tried", *(f"{word}, before" for word in BAD), *(f"{word}, after" for word in BAD), SKIPPED)
    lines = [head, tuple("---" for _ in head)]
    for row in dict.fromkeys([*old, *new]):
        lines.append((*row, *_both(old.get(row), new.get(row))))
    lines.append(("**all**", "", *_both(total(old.values()), total(new.values()))))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    tried = sum(numbers["tried"] for numbers in new.values())
    path.write_text(
        PAGE.format(
            tried=f"{tried:,}", seed=seed, before_commit=before["commit"][:8], table=table, minutes="about half an hour"
        )
    )


def _both(old: Counts | None, new: Counts | None) -> tuple[str, ...]:
    def cells(numbers: Counts | None, keys: Sequence[str]) -> tuple[str, ...]:
        return tuple("" if numbers is None else str(numbers[key]) for key in keys)

    return (*cells(new or old, ("tried",)), *cells(old, BAD), *cells(new, BAD), *cells(new or old, (SKIPPED,)))
