"""An HTML page as tests see it: elements that must close, addresses that are loaded, texts by id."""

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "hr", "input"}
LOADS = ("src", "srcset", "poster", "data", "action", "background")


class Page(HTMLParser):
    """A page that was read: `faults`, `loaded` addresses, `links`, `ids`, `headings`, `images`, and `texts` by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self.loaded: list[str] = re.findall(r"url\(([^)]*)\)|@import ([^;]*);", text)
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.images: list[dict] = []
        self.texts: dict[str, str] = {}
        self.language = ""
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag, _ in self.open]

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        if len(given) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        self.loaded += [given[name] for name in LOADS if name in given and not str(given[name]).startswith("data:")]
        self.loaded += [tag] * (tag in ("script", "iframe", "object", "embed", "link"))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "html":
            self.language = given.get("lang", "")
        if tag == "img":
            self.images.append(given)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in given:
            self.ids.append(given["id"])
            self.texts[given["id"]] = ""
        if tag not in VOID:
            self.open.append((tag, given.get("id", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for _, name in self.open:
            if name:
                self.texts[name] += data

    def text(self, name: str) -> str:
        """The text of the element with this id, with single spaces."""
        return " ".join(self.texts[name].split())

    def skipped_levels(self) -> list[tuple[int, int]]:
        """Headings that are more than one level below the one before."""
        return [(a, b) for a, b in zip(self.headings, self.headings[1:], strict=False) if b > a + 1]
