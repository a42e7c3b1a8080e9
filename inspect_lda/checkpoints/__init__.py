"""Finding, checking and loading the two checkpoints of a pair; `pair` is the door."""
