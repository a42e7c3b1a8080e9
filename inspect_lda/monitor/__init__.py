"""Following a training: the same eval on every checkpoint of a series."""
