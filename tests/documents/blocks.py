"""The code blocks of the README and of all pages."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))]
LANGUAGES = ("python", "bash", "toml", "text")
FENCE = re.compile(r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?^```(?P<language>.*)\n(?P<text>(?:.*\n)*?)^```$", re.M)


class Block(NamedTuple):
    """A code block. `why` is the reason for which it is not run; empty where it is."""

    language: str
    text: str
    why: str


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(text: str, *languages: str) -> list[Block]:
    """The blocks of a page's text in some languages (all of them), in their order."""
    found = [Block(match["language"], match["text"], match["why"] or "") for match in FENCE.finditer(text)]
    return [block for block in found if block.language in languages or not languages]


def code_of(page: str, language: str) -> str:
    """The blocks of a page that are run, as one text; empty where there is none."""
    return "".join(block.text for block in blocks_of(read(page), language) if not block.why)


def indented_blocks(text: str) -> list[str]:
    """First lines of code blocks that have no fence, only four spaces: these have no language."""
    prose = re.sub(r"<!--.*?-->", "", FENCE.sub("", text), flags=re.S)
    return re.findall(r"(?:^|\n)(?![-*\d ].*\n\n).*\n\n {4}(\S.*)", f"\n\n{prose}")
