"""Logit Diff Amplification (LDA) for Inspect: make rare model behaviours frequent."""

__version__ = "0.1.0"
