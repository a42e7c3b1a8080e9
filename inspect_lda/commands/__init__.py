"""Command groups of `inspect-lda`, one module each."""
