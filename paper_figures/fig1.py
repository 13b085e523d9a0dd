"""Figure 1, panels c to e: e-prop 1 and the rules it is compared with learn to generate three patterns (task 1.1)."""

from collections.abc import Sequence
from pathlib import Path

from paper_figures import fig1c, fig1d, style
from paper_figures.sheet import Part, Sheet

_PARTS = {
    "1c": Part("pattern_generation", (style.WIDTH, 3.6), fig1c.panel_c),
    "1d": Part("pattern_generation", (3.45, 3.1), fig1d.panel_d),
    "1e": Part("pattern_generation", (style.WIDTH - 3.45, 3.1), fig1d.panel_e),
}
PANELS = tuple(_PARTS)


def draw(where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None) -> list[Path]:
    """Draw panels (all, if None) from the records under `where`; see `Sheet.draw`."""
    return Sheet("fig1", _PARTS, (("1c",), ("1d", "1e"))).draw(where, panels, out)
