"""Inspect's messages to token ids, and sampled tokens back to messages."""
