"""Figure 2: spiking networks with adaptive thresholds store a bit and recall it (task 1.2), and classify
frames of speech (task 1.3)."""

from collections.abc import Sequence
from pathlib import Path

from paper_figures import fig2a, fig2b, fig2c, style
from paper_figures.sheet import Part, Sheet

_PARTS = {
    "2a": Part("store_recall", (style.WIDTH, fig2a.HEIGHT), fig2a.panel_a),
    "2b": Part("store_recall", (style.WIDTH, 2.4), fig2b.panel_b),
    "2c": Part("speech", (style.WIDTH, fig2c.HEIGHT), fig2c.panel_c),
}
PANELS = tuple(_PARTS)


def draw(where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None) -> list[Path]:
    """Draw panels (all, if None) from the records under `where`; see `Sheet.draw`."""
    return Sheet("fig2", _PARTS, [[panel] for panel in PANELS]).draw(where, panels, out)
