"""The verdicts in short, for the README: the tally, a row for some panels each, and three claims that failed."""

import collections
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pydantic

from repro.claims.claim_result import ClaimResult
from repro.claims.rows import A_TEXT, Text
from repro.claims.table import ORDER, tally
from repro.claims.verdicts import JUDGED
from repro.errors import UserError
from repro.records.files import read_toml
from repro.records.store import CHECKOUT
from repro.records.validation import Strict, parsed
from repro.text import count, format_number

OVERVIEW = CHECKOUT / "paper_figures" / "overview.toml"
BEGIN, END = "<!-- written by `repro check --write` -->", "<!-- end of what `repro check --write` wrote -->"
SUCCESS = ("reproduced", "fitted")
NUMBERS = ("None", "One", "Two", "Three")
FAILURES = len(NUMBERS) - 1
OTHER_SEEDS, SMALLER = "†", "‡"
NOTES = {
    OTHER_SEEDS: "Seeds 0 to 9 were seen before the rules of the verdicts were final. So verdicts wait for planned "
    "seeds ([plan and cost](docs/campaign.md)), which are not run or not accepted yet; shown is what the earlier seeds "
    "gave.",
    SMALLER: "Smaller networks, shorter training, another loss or other data than the paper's: no verdict rests "
    "on these numbers.",
}


class Row(Strict):
    """A line of the table: some panels and the claims on them."""

    panels: Text = pydantic.Field(description=A_TEXT)
    about: Text = pydantic.Field(description=A_TEXT)
    claims: list[str] = pydantic.Field(description="a list of claims")
    result: Text = pydantic.Field(description=A_TEXT)


class Failure(Strict):
    """A claim that may have failed, the reason, and where it is explained."""

    claim: Text = pydantic.Field(description=A_TEXT)
    text: Text = pydantic.Field(description=A_TEXT)
    cause: Text = pydantic.Field(description=A_TEXT)
    link: Text = pydantic.Field(description=A_TEXT)


class Overview(Strict):
    """paper_figures/overview.toml."""

    rows: list[Row] = pydantic.Field(description="[[rows]]")
    failures: list[Failure] = pydantic.Field(description="[[failures]]")


class Shown(NamedTuple):
    """Our value of a claim: over how many seeds, and a mark if these give no verdict on it. `verdict` is what the
    claim's runs show, whatever their seeds."""

    value: float
    bound: bool
    n_seeds: int
    mark: str
    verdict: str


def load_overview(path: Path = OVERVIEW) -> Overview:
    """Read overview.toml. Raises UserError where it is not as described."""
    return parsed(Overview, read_toml(path), str(path), "an overview")


def insert(text: str, part: str) -> str:
    """A page with what stands between the two marks replaced. Raises UserError if it has not each of them once."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UserError(f"no place for the results: the page should have once the line {BEGIN}, later {END}")
    before, _, after = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{part}\n{END}{after.partition(END)[2]}"


def format_overview(overview: Overview, results: Sequence[ClaimResult], shown: Mapping[str, Shown]) -> str:
    """The table, the tally and the failures in Markdown. Raises UserError unless each claim stands in one row."""
    by_id = {result.id: result for result in results}
    listed = collections.Counter(claim for row in overview.rows for claim in row.claims)
    if wrong := {claim for claim in {*listed, *by_id} if listed[claim] != 1 or claim not in by_id}:
        raise UserError(f"overview.toml should have each claim in one row; wrong are {', '.join(sorted(wrong))}")
    texts = [row.result for row in overview.rows] + [failure.text for failure in overview.failures]
    named = {name for text in texts for name in _names(text)} | {failure.claim for failure in overview.failures}
    if unknown := named - {*by_id}:
        raise UserError(f"overview.toml: {min(unknown)!r} is no claim")
    lines = ["| panels | what was done | what came out (in brackets: the paper) | seeds | claims |", f"|{'---|' * 5}"]
    lines += [_line(row, by_id, shown) for row in overview.rows]
    failures = [_failure(failure, by_id, shown) for failure in overview.failures if _failed(shown[failure.claim])]
    parts = ["\n".join(lines)]
    if failures := failures[:FAILURES]:
        parts += [f"{NUMBERS[len(failures)]} that did not come out as printed:", "\n".join(failures)]
    notes = [f"{mark} {note}" for mark, note in NOTES.items() if mark in "".join(parts)]
    return "\n\n".join([f"**{tally(results)}.**", *notes, *parts])


def _line(row: Row, by_id: Mapping[str, ClaimResult], shown: Mapping[str, Shown]) -> str:
    verdicts = _counts([by_id[claim].verdict for claim in row.claims])
    others = [shown[claim].verdict for claim in row.claims if shown[claim].mark == OTHER_SEEDS]
    verdicts += f" ({OTHER_SEEDS} {_counts(others)})" if others else ""
    used = [shown[claim] for claim in _names(row.result) or row.claims]
    seeds = dict.fromkeys(f"{each.n_seeds}{each.mark}" for each in used if each.n_seeds)
    return f"| {row.panels} | {row.about} | {_filled(row.result, by_id, shown)} | {', '.join(seeds)} | {verdicts} |"


def _counts(verdicts: Sequence[str]) -> str:
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ORDER if verdict in verdicts)


def _failure(failure: Failure, by_id: Mapping[str, ClaimResult], shown: Mapping[str, Shown]) -> str:
    each = shown[failure.claim]
    verdict = f"{each.verdict} on {count(each.n_seeds, 'seed')}{each.mark}"
    text = _filled(failure.text, by_id, shown)
    return f"- {text} [The reason]({failure.link}): {failure.cause} ({verdict})."


def _failed(shown: Shown) -> bool:
    return shown.n_seeds > 0 and shown.verdict in JUDGED and shown.verdict not in SUCCESS


def _names(text: str) -> list[str]:
    return re.findall(r"\{(.+?)\}", text)


def _filled(text: str, by_id: Mapping[str, ClaimResult], shown: Mapping[str, Shown]) -> str:
    """The text with our values, and the paper's where there is one to compare with."""
    return re.sub(r"\{(.+?)\}", lambda name: _value(by_id[name[1]], shown[name[1]]), text)


def _value(result: ClaimResult, shown: Shown) -> str:
    ours = f"{'at least ' * shown.bound}{format_number(shown.value)}" if shown.n_seeds else "not finished"
    compared = isinstance(result.claimed, float) and result.verdict != "no data"
    return f"{ours} ({result.claimed:g})" if compared else ours
