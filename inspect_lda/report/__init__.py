"""From an eval log to what a person reads: table, picture, page. No model, no torch."""
