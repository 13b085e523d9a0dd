"""Ordinary torch modules whose backward pass is a learning rule."""
