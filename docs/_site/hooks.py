"""What the site needs beyond its pages: some come from the repository's root, and formulas become MathML."""

import html
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OF_ROOT = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)]*)?\)")  # and images
FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.S)
CODE = re.compile(r"(<(?:pre|code|script|style)\b.*?</(?:pre|code|script|style)>)", re.S)
TO_COME = ("cluster.md", "questions.md")  # pages that are shown once they are there
IN_NOTEBOOK = re.compile(r"(\$\$?)(?=\S)([^$]+?)\1")  # which no extension of Markdown has read


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the pages of folders, and leave out pages that this version does not have yet."""
    config.nav = [_section(entry, Path(config.docs_dir)) for entry in config.nav or ()]
    return config


def _section(entry: dict[str, Any], docs: Path) -> dict[str, Any]:
    ((title, pages),) = entry.items()
    if isinstance(pages, str) and (docs / pages).is_dir():
        return {title: [page.relative_to(docs).as_posix() for page in sorted((docs / pages).glob("*.md"))]}
    if isinstance(pages, list):
        missing = [name for name in TO_COME if not (docs / name).exists()]
        return {title: [page for page in pages if not {*page.values()} & {*missing}]}
    return entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's root."""
    for name, source in OF_ROOT.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Make links to files that are no pages, such as code, the names of these files."""
    here = page.file.src_uri
    source = OF_ROOT.get(here, f"docs/{here}")
    page_of = {path: name for name, path in OF_ROOT.items()}

    def link(match: re.Match[str]) -> str:
        text, anchor = match[1], match[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        target = page_of.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(target):
            return f"[{text}]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{anchor})"
        if not (ROOT / path).exists():
            return match[0]  # mkdocs warns of it
        return f"`{path}`" if text == path else f"{text} (`{path}`)"

    return LINK.sub(link, markdown)


def on_page_content(content: str, page: Page, **_: Any) -> str:
    """Formulas as MathML, which browsers draw without a script."""
    if page.file.src_uri.endswith(".ipynb"):
        parts = CODE.split(content)
        parts[::2] = [IN_NOTEBOOK.sub(lambda m: _mathml(m[2], m[1] == "$$"), part) for part in parts[::2]]
        return "".join(parts)
    return FORMULA.sub(lambda m: _mathml(m[2].strip()[2:-2], m[1] == "div"), content)


def _mathml(formula: str, block: bool) -> str:
    return convert(html.unescape(formula), display="block" if block else "inline")
