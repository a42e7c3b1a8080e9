"""Scorers for amplified rollouts, installed as `inspect_lda.scorers`."""
