"""The paper's figures, redrawn from records alone. Entry points in pyproject.toml register them; no torch in here."""

from repro.runs.registry import draw as draw
