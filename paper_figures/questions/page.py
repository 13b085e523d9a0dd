"""The page as Markdown."""

import textwrap
from collections.abc import Sequence

from paper_figures.questions.answer import Answer
from repro.text import markdown_table

WIDTH = 120  # characters of a line
HEAD = """\
# What the paper's authors would ask

Six questions on this reproduction, each with a short answer, a figure, how it was measured, and the command that makes
its runs. `repro questions` writes this page from records and from the tables in sweeps/tables. Each section names the
runs that it rests on: write the page again when there are more.

Runs at the paper's size are records. Answers pool all of their seeds, so that numbers differ a little from those of
README: claims rest on seeds 10 to 49 alone, because seeds 0 to 9 had been looked at before
([paper_notes.md](paper_notes.md#verdicts-the-rules-and-what-they-changed)). Studies have seeds 100 upwards and may be
of a smaller size, which is stated. A lost run (a dead network, weights that are no longer finite) is counted as one
that failed.
"""


def page(answers: Sequence[Answer]) -> str:
    """The page, one section a question."""
    return "\n".join([HEAD, *(_section(number, answer) for number, answer in enumerate(answers, 1))])


def _section(number: int, answer: Answer) -> str:
    parts = [
        f"## {number}. {answer.question}",
        _wrapped(answer.short),
        f"![{answer.question}]({answer.name}.svg)",
        _wrapped(f"*{answer.caption}*"),
        *([markdown_table(answer.table)] if answer.table else []),
        _wrapped(f"**Measured.** {answer.measured}"),
        _wrapped(f"**Runs.** {'; '.join(answer.runs)}."),
        *([_wrapped(f"**Not run.** {answer.missing}")] if answer.missing else []),
        "\n".join(["```bash", *answer.commands, "```"]),
    ]
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
