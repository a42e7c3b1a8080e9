"""Counting rare events honestly: intervals, factors, rates. No torch, no Inspect."""
