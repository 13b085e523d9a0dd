"""Figures, drawn from records that no network made."""
