"""Engines: anything that can run a checkpoint pair as one causal language model."""
