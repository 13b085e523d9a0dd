"""Figure 3: a spiking network learns a movement of an arm from one trial; an error module sends the learning
signals (task 2.1)."""

from collections.abc import Sequence
from pathlib import Path

from paper_figures import fig3c, fig3d, fig3e, style
from paper_figures.sheet import Part, Sheet

_PARTS = {
    "3c": Part("arm_reaching", (fig3c.WIDTH, fig3c.HEIGHT), fig3c.panel_c),
    "3d": Part("arm_reaching", (style.WIDTH - fig3c.WIDTH, fig3c.HEIGHT), fig3d.panel_d),
    "3e": Part("arm_reaching", (style.WIDTH, fig3e.HEIGHT), fig3e.panel_e),
}
PANELS = tuple(_PARTS)


def draw(where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None) -> list[Path]:
    """Draw panels (all, if None) from the records under `where`; see `Sheet.draw`."""
    return Sheet("fig3", _PARTS, (("3c", "3d"), ("3e",))).draw(where, panels, out)
