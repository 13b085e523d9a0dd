"""Whole-sequence versions of the network and of its reverse recursions. Knows arrays alone."""
