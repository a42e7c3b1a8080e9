"""The decoding rule: combination, truncation and sampling as pure tensor functions."""
