"""Comparing many runs: one row a model that was measured, from single runs and from stored studies alike."""
