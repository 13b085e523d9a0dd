"""The panels of the report: what each shows (paper_figures/panels.toml), its image, and the claims that it is about."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pydantic

from repro.claims.claim import PaperClaim, panels_of
from repro.claims.claim_result import ClaimResult
from repro.claims.rows import A_TEXT, Text
from repro.claims.verdicts import JUDGED
from repro.errors import UserError
from repro.records.files import read_toml
from repro.records.store import CHECKOUT
from repro.records.validation import Strict, parsed

PANELS = CHECKOUT / "paper_figures" / "panels.toml"


class PanelText(Strict):
    """A table of panels.toml."""

    title: Text = pydantic.Field(description=A_TEXT)
    caption: Text = pydantic.Field(description=A_TEXT)
    alt: Text = pydantic.Field(description=A_TEXT)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A claim and its verdict; `other` is the verdict on runs of seeds that were not planned, where no other counts."""

    claim: PaperClaim
    result: ClaimResult
    other: ClaimResult | None

    @property
    def shown(self) -> ClaimResult:
        """The result whose numbers are printed."""
        return self.other or self.result

    @property
    def evidence(self) -> str:
        """What the verdict rests on, without the cause and the readings, which have lines of their own."""
        result = self.shown
        judged = result.verdict in JUDGED
        text = result.reason if judged else result.substitute_note or result.reason
        for part in (self.claim.cause, result.holds_in):
            text = text.replace(f"; {part}", "") if part else text
        return f"{text.removesuffix('.')}."

    @property
    def cause(self) -> str:
        """Why the claim is not reproduced, if that is known and it is not."""
        return "" if self.shown.verdict in ("reproduced", "fitted") else self.claim.cause


@dataclasses.dataclass(frozen=True)
class PanelPart:
    """A panel: its name, text and image (None: nothing to draw), and the verdicts on its claims."""

    name: str
    text: PanelText
    image: Path | None
    judgements: Sequence[Judgement]


def read_panels(path: Path | None = None) -> dict[str, PanelText]:
    """Panel -> its text. Raises UserError when the file is missing or is not as its head describes."""
    path = path or PANELS
    return {name: parsed(PanelText, row, f"{path}: {name}", "a panel") for name, row in read_toml(path).items()}


def parts(
    figure: str, panels: Sequence[str], files: Sequence[Path], judgements: Sequence[Judgement]
) -> tuple[list[PanelPart], list[Judgement]]:
    """A figure's panels, and the judgements on claims that are about none of them. Raises UserError when panels.toml
    lacks one of the panels."""
    texts = read_panels()
    if lacking := [name for name in panels if name not in texts]:
        raise UserError(f"{PANELS} lacks the panel [{lacking[0]}] of {figure}")
    images = {path.stem: path for path in files if path.suffix == ".png"}
    of_panel = _by_panel(panels, judgements)
    return [
        PanelPart(name, texts[name], images.get(f"fig{name}") or images.get(figure), of_panel[name]) for name in panels
    ], of_panel[""]


def _by_panel(panels: Sequence[str], judgements: Sequence[Judgement]) -> Mapping[str, list[Judgement]]:
    """Panel -> the judgements whose claims name it first; "" -> those that name none of the panels."""
    of_panel: dict[str, list[Judgement]] = {name: [] for name in ("", *panels)}
    for judgement in judgements:
        named = [name for name in panels_of(judgement.claim.panel) if name in of_panel]
        of_panel[named[0] if named else ""].append(judgement)
    return of_panel
