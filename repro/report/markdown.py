"""Pages of docs/ as parts of an HTML page that loads nothing: formulas become MathML, images are inlined."""

import base64
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from repro.errors import UserError
from repro.records.files import read_bytes

KINDS = {".png": "image/png", ".svg": "image/svg+xml"}


def sections(path: Path) -> dict[str, str]:
    """Heading of the second level -> the Markdown below it; "" -> what comes before the first, without the title.

    Raises UserError when the file cannot be read.
    """
    text = read_bytes(path).decode()
    before, *rest = re.split(r"^## ", text, flags=re.MULTILINE)
    parts = {"": re.sub(r"^# .*\n", "", before)}
    return parts | {heading.strip(): body for heading, _, body in (part.partition("\n") for part in rest)}


def section(path: Path, heading: str) -> str:
    """One section of a page. Raises UserError when the page has none of that heading."""
    found = sections(path)
    if heading not in found:
        raise UserError(f"{path} has no section '## {heading}', which the report prints")
    return found[heading]


def to_html(text: str, folder: Path, level: int = 2, prefix: str = "") -> str:
    """Markdown as HTML. Its second level of headings becomes `level`, and gets anchors where there is a `prefix` for
    them; images are read from `folder`; of links to other files of the project the words stay.

    Raises UserError when an image cannot be read.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").use(dollarmath_plugin, renderer=_formula)
    tokens = markdown.parse(text)
    for token, following in zip(tokens, [*tokens, None][1:], strict=True):
        if token.type == "heading_open" and token.tag == "h2" and prefix and following:
            token.attrs["id"] = anchor(prefix, following.content)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + level - 2, 6)}"
        token.children = _inline(token.children, folder) if token.children else token.children
    body: str = markdown.renderer.render(tokens, markdown.options, {})
    return body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")


def anchor(*parts: str) -> str:
    """The end of an address: letters and digits of ASCII, and hyphens."""
    return re.sub("[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def data_uri(path: Path) -> str:
    """An image as an address that holds all of it."""
    return f"data:{KINDS[path.suffix]};base64,{base64.b64encode(read_bytes(path)).decode()}"


def _inline(tokens: list[Token], folder: Path) -> list[Token]:
    """Images inlined; links to files of the project without their address."""
    kept, outside = [], True
    for token in tokens:
        if token.type == "link_open":
            outside = str(token.attrs.get("href", "")).startswith(("https://", "http://"))
        if token.type == "image":
            token.attrs["src"] = data_uri(folder / str(token.attrs["src"]))
        if outside or token.type not in ("link_open", "link_close"):
            kept.append(token)
        outside = outside or token.type == "link_close"
    return kept


def _formula(content: str, options: Mapping[str, Any]) -> str:
    """LaTeX as MathML, which browsers show without a script; as it is where it cannot be converted."""
    try:
        return str(convert(content, display="block" if options.get("display_mode") else "inline"))
    except Exception:  # the converter raises what its parser happens to meet
        return f"<code>{html.escape(content)}</code>"
