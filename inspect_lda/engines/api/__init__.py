"""LDA over two endpoints that return log-probabilities, with its error stated.

`listing` is what an endpoint says about a next token, `dialect` how to ask it.
Nothing here asks an endpoint for text: token ids go in and come out.
"""
