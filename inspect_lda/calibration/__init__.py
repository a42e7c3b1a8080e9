"""Measurements of a pair before a run: what may be amplified, and how far."""
