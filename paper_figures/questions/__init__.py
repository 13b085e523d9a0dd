"""docs/questions.md: what the paper's authors would ask of its reproduction, answered from records and study tables."""

from collections.abc import Sequence
from pathlib import Path

from paper_figures import style
from paper_figures.questions import alignment, clopath, decoding, estimates, horizon, rates
from paper_figures.questions.page import page
from paper_figures.questions.sources import Sources

QUESTIONS = (alignment, horizon, clopath, estimates, decoding, rates)


def write(where: Sequence[str | Path], out: Path) -> list[Path]:
    """Write questions.md and a figure for each question into `out`, from the records in the folders `where` and the
    tables in sweeps/tables. The same records and tables give the same bytes.

    Raises UserError when a record or a table cannot be read.
    """
    sources = Sources(tuple(where))
    with style.theme():
        answers = [question.answer(sources) for question in QUESTIONS]
        figures = [style.render(answer.figure, answer.name)[f"{answer.name}.svg"] for answer in answers]
    files = {f"{answer.name}.svg": figure for answer, figure in zip(answers, figures, strict=True)}
    return style.save({"questions.md": page(answers).encode(), **files}, out)
