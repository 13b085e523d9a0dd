"""Figure 4: LSTM networks that learn in windows, by e-prop 3 and other rules: copy-repeat (task 3.1), words (3.2)."""

from collections.abc import Sequence
from pathlib import Path

from paper_figures import fig4c, fig4d, fig4e, fig4g, style
from paper_figures.sheet import Part, Sheet

_HALF = style.WIDTH / 2
_PARTS = {
    "4c": Part("copy_repeat", (_HALF, 2.5), fig4c.panel_c),
    "4d": Part("word_prediction", (_HALF, 2.5), fig4d.panel_d),
    "4e": Part("copy_repeat", (_HALF, 3.1), fig4e.panel_e),
    "4f": Part("word_prediction", (_HALF, 3.1), fig4e.panel_f),
    "4g": Part("copy_repeat", (0.57 * style.WIDTH, 2.45), fig4g.panel_g),
    "4h": Part("word_prediction", (0.43 * style.WIDTH, 2.45), fig4g.panel_h),
}
PANELS = tuple(_PARTS)


def draw(where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None) -> list[Path]:
    """Draw panels (all, if None) from the records under `where`; see `Sheet.draw`."""
    return Sheet("fig4", _PARTS, (("4c", "4d"), ("4e", "4f"), ("4g", "4h"))).draw(where, panels, out)
