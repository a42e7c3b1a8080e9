"""What a pair can honestly be asked: its numerical noise, its signal, its weights."""
